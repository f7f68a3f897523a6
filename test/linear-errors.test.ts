import { describe, expect, test } from '@jest/globals';
import { type DType, linear, linearSync, Tensor } from 'selective-scan';
import { describeOnGpus } from './support/devices';
import { expectBothRefuse, expectFailure, type Forms, type LooseOptions, thrownBy } from './support/failures';

const forms: Forms = { promise: linear, sync: linearSync };

/** Good options, changed: x [2, 3], weight [4, 3]. */
function given(change: LooseOptions = {}): LooseOptions {
  return { x: zeros([2, 3]), weight: zeros([4, 3]), bias: zeros([4]), ...change };
}

function zeros(dims: number[], dtype: DType = 'float32'): Tensor {
  const size = dims.reduce((product, length) => product * length, dtype === 'complex64' ? 2 : 1);
  return Tensor.from(dtype === 'int32' ? new Int32Array(size) : new Float32Array(size), dims, dtype);
}

function disposed(dims: number[]): Tensor {
  const tensor = zeros(dims);
  tensor.dispose();
  return tensor;
}

const throwing = new Proxy([2, 2], {
  get() {
    throw new Error('no');
  },
});

type Row = [what: string, options: () => unknown, code: string, about: string];

const shapes: Row[] = [
  ['x without axes', () => given({ x: zeros([]) }), 'ERR_SHAPE', 'Expected x to have the axes [..., in] but received'],
  ['x of another in', () => given({ x: zeros([2, 5]) }), 'ERR_SHAPE', 'weight to have shape [out, in] = [4, 5]'],
  ['a weight of rank 1', () => given({ weight: zeros([3]) }), 'ERR_SHAPE', 'weight to have the 2 axes [out, in]'],
  ['a weight of rank 3', () => given({ weight: zeros([1, 4, 3]) }), 'ERR_SHAPE', 'weight'],
  ['a weight transposed', () => given({ weight: zeros([3, 4]) }), 'ERR_SHAPE', 'weight'],
  ['bias of another out', () => given({ bias: zeros([3]) }), 'ERR_SHAPE', 'bias to have shape [out] = [4]'],
  ['bias as a matrix', () => given({ bias: zeros([4, 1]) }), 'ERR_SHAPE', 'bias'],
];

const splits: Row[] = [
  ['too little', () => given({ split: [1, 2] }), 'ERR_SHAPE', 'out = 4 but received [1, 2], which sums to 3'],
  ['too much', () => given({ split: [4, 1] }), 'ERR_SHAPE', 'split'],
  ['a negative size', () => given({ split: [5, -1] }), 'ERR_SHAPE', 'split[1]'],
  ['a fraction', () => given({ split: [1.5, 2.5] }), 'ERR_SHAPE', 'split[0]'],
  ['NaN', () => given({ split: [Number.NaN, 4] }), 'ERR_SHAPE', 'split[0]'],
  ['a string', () => given({ split: ['4'] }), 'ERR_SHAPE', 'split[0]'],
  ['a hole', () => given({ split: new Array(1) }), 'ERR_SHAPE', 'split[0]'],
  ['no sizes', () => given({ split: [] }), 'ERR_OPTION', 'split to have 1 to 8 sizes but received 0'],
  ['nine sizes', () => given({ split: [1, 1, 1, 1, 0, 0, 0, 0, 0] }), 'ERR_OPTION', 'but received 9'],
  ['a number', () => given({ split: 4 }), 'ERR_OPTION', 'split to be an array'],
  ['null', () => given({ split: null }), 'ERR_OPTION', 'split'],
  ['a typed array', () => given({ split: Int32Array.of(2, 2) }), 'ERR_OPTION', 'split'],
  ['an array that throws', () => given({ split: throwing }), 'ERR_OPTION', 'split'],
];

const dtypes: Row[] = [
  ['no x', () => given({ x: undefined }), 'ERR_DTYPE', 'x'],
  ['no weight', () => given({ weight: undefined }), 'ERR_DTYPE', 'weight'],
  ['a typed array as x', () => given({ x: new Float32Array(6) }), 'ERR_DTYPE', 'Expected x to be a Tensor'],
  ['x as integers', () => given({ x: zeros([2, 3], 'int32') }), 'ERR_DTYPE', 'x'],
  ['a complex x', () => given({ x: zeros([2, 3], 'complex64') }), 'ERR_DTYPE', 'x'],
  ['a weight as integers', () => given({ weight: zeros([4, 3], 'int32') }), 'ERR_DTYPE', 'weight'],
  ['a complex weight', () => given({ weight: zeros([4, 3], 'complex64') }), 'ERR_DTYPE', 'weight'],
  ['bias as integers', () => given({ bias: zeros([4], 'int32') }), 'ERR_DTYPE', 'bias'],
  ['bias of a third dtype', () => given({ bias: zeros([4], 'float16') }), 'ERR_DTYPE', 'bias'],
  ['out as integers', () => given({ dtype: 'int32' }), 'ERR_DTYPE', "dtype to be 'float32', 'float16' or 'bfloat16'"],
  ['out of no dtype', () => given({ dtype: 'float64' }), 'ERR_DTYPE', 'dtype'],
  ['dtype as a number', () => given({ dtype: 1 }), 'ERR_DTYPE', 'dtype'],
];

const others: Row[] = [
  ['no options', () => undefined, 'ERR_OPTION', 'options'],
  ["torch's name of x", () => given({ input: zeros([2, 3]) }), 'ERR_OPTION', "'input'"],
  ['a typed array among tensors', () => given({ weight: new Float32Array(12) }), 'ERR_DEVICE', 'weight'],
  ['another device named', () => given({ device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
  ['no stream', () => given({ stream: 5 }), 'ERR_OPTION', 'stream'],
  ['a disposed x', () => given({ x: disposed([2, 3]) }), 'ERR_DISPOSED', 'x'],
  ['a disposed weight', () => given({ weight: disposed([4, 3]) }), 'ERR_DISPOSED', 'weight'],
  ['a disposed bias', () => given({ bias: disposed([4]) }), 'ERR_DISPOSED', 'bias'],
];

describe.each([
  ['shapes', shapes],
  ['splits', splits],
  ['dtypes', dtypes],
  ['options, kinds, devices and lives', others],
])('wrong %s are refused', (_topic, rows) => {
  test.each(rows)('%s', async (_what, options, code, about) => {
    await expectBothRefuse(options(), { code, about }, forms);
  });
});

test('the blocking form takes no signal', () => {
  const act = () => linearSync(given({ signal: new AbortController().signal }) as any);
  expectFailure(thrownBy(act), { code: 'ERR_OPTION', about: 'signal' });
});

test('rows beyond what memory can hold are refused', async () => {
  const huge = { x: zeros([2 ** 40, 2 ** 40, 0]), weight: zeros([4, 0]) };
  for (const act of [() => linearSync(huge), () => linear(huge)]) {
    await expect((async () => act())()).rejects.toMatchObject({ name: 'SelectiveScanError' });
  }
});

describeOnGpus((device) => {
  test('tensors of two devices', async () => {
    const weight = zeros([4, 3]).toSync(device);
    await expectBothRefuse(given({ weight }), { code: 'ERR_DEVICE', about: 'weight' }, forms);
  });
});
