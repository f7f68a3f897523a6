import { describe, test } from '@jest/globals';
import { type DType, Tensor } from 'selective-scan';
import { tensorOptions } from './support/call';
import { describeOnGpus } from './support/devices';
import { expectBothRefuse, expectFailure, type LooseOptions, rejectionOf, thrownBy } from './support/failures';
import { type CaseSpec, randomCase } from './support/random-case';

const small: Partial<CaseSpec> = { batch: 2, dim: 4, seqlen: 6, dstate: 3 };

function withTensors(change: LooseOptions = {}, spec: Partial<CaseSpec> = {}): LooseOptions {
  return { ...tensorOptions(randomCase({ ...small, ...spec }), 'cpu').options, ...change };
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

type Row = [what: string, options: () => LooseOptions, code: string, about: string];

// Made inside the tests, so that nothing happens while they are collected.
const shapes: Row[] = [
  [
    'delta one step short',
    () => withTensors({ delta: zeros([2, 4, 5]) }),
    'ERR_SHAPE',
    'Expected delta to have shape [batch, dim, seqlen] = [2, 4, 6] but received [2, 4, 5].',
  ],
  ['u of rank 2', () => withTensors({ u: zeros([8, 6]) }), 'ERR_SHAPE', 'u'],
  ['u of rank 4', () => withTensors({ u: zeros([2, 4, 6, 1]) }), 'ERR_SHAPE', 'u'],
  ['the other layout', () => withTensors({ layout: 'bld' }), 'ERR_SHAPE', ''],
  ['A turned', () => withTensors({ A: zeros([3, 4]) }), 'ERR_SHAPE', 'A'],
  ['A of another dim', () => withTensors({ A: zeros([5, 3]) }), 'ERR_SHAPE', 'A'],
  ['B turned', () => withTensors({ B: zeros([2, 6, 3]) }), 'ERR_SHAPE', 'B'],
  ['B of another batch', () => withTensors({ B: zeros([1, 3, 6]) }), 'ERR_SHAPE', 'B'],
  ['B of groups that do not divide dim', () => withTensors({ B: zeros([2, 3, 3, 6]) }), 'ERR_SHAPE', 'groups'],
  ['B and C of unlike groups', () => withTensors({ B: zeros([2, 2, 3, 6]), C: zeros([2, 4, 3, 6]) }), 'ERR_SHAPE', 'C'],
  ['a constant B turned', () => withTensors({ B: zeros([3, 4]) }), 'ERR_SHAPE', 'B'],
  ['C of rank 1', () => withTensors({ C: zeros([3]) }), 'ERR_SHAPE', 'C'],
  ['a real B beside a complex A', () => withTensors({ B: zeros([2, 3, 6]) }, { complex: true }), 'ERR_SHAPE', 'B'],
  ['D as a matrix', () => withTensors({ D: zeros([4, 1]) }), 'ERR_SHAPE', 'D'],
  ['z one step short', () => withTensors({ z: zeros([2, 4, 5]) }), 'ERR_SHAPE', 'z'],
  ['deltaBias of another dim', () => withTensors({ deltaBias: zeros([3]) }), 'ERR_SHAPE', 'deltaBias'],
  ['initialState of one entry', () => withTensors({ initialState: zeros([1, 4, 3]) }), 'ERR_SHAPE', 'initialState'],
  [
    'cuSeqlens of rank 2',
    () => withTensors({ cuSeqlens: zeros([1, 2], 'int32') }, { batch: 1 }),
    'ERR_SHAPE',
    'cuSeqlens',
  ],
  ['an empty A', () => withTensors({ A: zeros([4, 0]) }), 'ERR_SHAPE', 'dstate'],
  ['no steps', () => withTensors({ u: zeros([2, 4, 0]) }), 'ERR_SHAPE', 'seqlen'],
  [
    'dims that say otherwise',
    () => withTensors({ dims: { batch: 2, dim: 4, seqlen: 7, dstate: 3 } }),
    'ERR_SHAPE',
    'seqlen',
  ],
];

const dtypes: Row[] = [
  ['delta unlike u', () => withTensors({ delta: zeros([2, 4, 6], 'float16') }), 'ERR_DTYPE', 'delta'],
  ['z unlike u', () => withTensors({ z: zeros([2, 4, 6], 'bfloat16') }), 'ERR_DTYPE', 'z'],
  ['B unlike u', () => withTensors({ B: zeros([2, 3, 6], 'float16') }), 'ERR_DTYPE', 'B'],
  ['C unlike u', () => withTensors({ C: zeros([2, 3, 6], 'bfloat16') }), 'ERR_DTYPE', 'C'],
  ['u as integers', () => withTensors({ u: zeros([2, 4, 6], 'int32') }), 'ERR_DTYPE', 'u'],
  ['u as complex', () => withTensors({ u: zeros([2, 4, 6], 'complex64') }), 'ERR_DTYPE', 'u'],
  ['A of half precision', () => withTensors({ A: zeros([4, 3], 'float16') }), 'ERR_DTYPE', 'A'],
  ['a complex constant B beside a real A', () => withTensors({ B: zeros([4, 3], 'complex64') }), 'ERR_DTYPE', 'B'],
  ['D of half precision', () => withTensors({ D: zeros([4], 'bfloat16') }), 'ERR_DTYPE', 'D'],
  ['deltaBias of half precision', () => withTensors({ deltaBias: zeros([4], 'float16') }), 'ERR_DTYPE', 'deltaBias'],
  [
    'initialState of half precision',
    () => withTensors({ initialState: zeros([2, 4, 3], 'float16') }),
    'ERR_DTYPE',
    'initialState',
  ],
  [
    'a complex initialState of a real A',
    () => withTensors({ initialState: zeros([2, 4, 3], 'complex64') }),
    'ERR_DTYPE',
    'initialState',
  ],
  ['cuSeqlens as floats', () => withTensors({ cuSeqlens: zeros([2]) }, { batch: 1 }), 'ERR_DTYPE', 'cuSeqlens'],
];

const others: Row[] = [
  ['a typed array among tensors', () => withTensors({ delta: new Float32Array(48) }), 'ERR_DEVICE', 'delta'],
  ['a typed array as D', () => withTensors({ D: new Float32Array(4) }), 'ERR_DEVICE', 'D'],
  ['a tensor among typed arrays', () => ({ ...withTensors(), u: new Float32Array(48) }), 'ERR_DEVICE', ''],
  ['another device named', () => withTensors({ device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
  ['u disposed', () => withTensors({ u: disposed([2, 4, 6]) }), 'ERR_DISPOSED', 'u'],
  ['A disposed', () => withTensors({ A: disposed([4, 3]) }), 'ERR_DISPOSED', 'A'],
  ['z disposed', () => withTensors({ z: disposed([2, 4, 6]) }), 'ERR_DISPOSED', 'z'],
  ['complexA of a real A', () => withTensors({ complexA: true }), 'ERR_SHAPE', 'complexA'],
  ['constantB of a varying B', () => withTensors({ constantB: true }), 'ERR_SHAPE', 'B'],
  ['constantC denied of a constant C', () => withTensors({ constantC: false }, { constantC: true }), 'ERR_SHAPE', 'C'],
];

describe.each([
  ['shapes', shapes],
  ['dtypes', dtypes],
  ['kinds, devices, lives and flags', others],
])('wrong %s are refused', (_topic, rows) => {
  test.each(rows)('%s', async (_what, options, code, about) => {
    await expectBothRefuse(options(), { code, about });
  });
});

/** Dims of which the reading takes the memory of the array that they are of. */
function takingDims(data: Float32Array<ArrayBuffer>): Tensor {
  const dims = [data.length];
  const takeMemory = () => {
    const length = data.length;
    structuredClone(data.buffer, { transfer: [data.buffer] });
    return length;
  };
  return Tensor.from(data, Object.defineProperty(dims, 0, { get: takeMemory }));
}

function revokedDims(): number[] {
  const { proxy, revoke } = Proxy.revocable([6], {});
  revoke();
  return proxy;
}

const made: [what: string, make: () => unknown, code: string, about: string][] = [
  ['fewer elements than dims say', () => Tensor.from(new Float32Array(5), [2, 3]), 'ERR_SHAPE', '5'],
  ['more elements than dims say', () => Tensor.from(new Float32Array(7), [2, 3]), 'ERR_SHAPE', '7'],
  ['half a complex number', () => Tensor.from(new Float32Array(5), [3], 'complex64'), 'ERR_SHAPE', ''],
  ['a negative size', () => Tensor.from(new Float32Array(6), [-2, -3]), 'ERR_SHAPE', ''],
  ['a fraction', () => Tensor.from(new Float32Array(6), [1.5, 4]), 'ERR_SHAPE', ''],
  ['NaN', () => Tensor.from(new Float32Array(0), [Number.NaN]), 'ERR_SHAPE', ''],
  ['a product past 2^63', () => Tensor.from(new Float32Array(0), [2 ** 32, 2 ** 32]), 'ERR_SHAPE', ''],
  ['no dims', () => Tensor.from(new Float32Array(6), undefined as any), 'ERR_SHAPE', 'dims'],
  ['dims that cannot be read', () => Tensor.from(new Float32Array(6), revokedDims()), 'ERR_SHAPE', 'dims'],
  ['dims that take the array away', () => takingDims(new Float32Array(6)), 'ERR_SHAPE', 'data'],
  ['raw bits without a dtype', () => Tensor.from(new Uint16Array(6), [6]), 'ERR_DTYPE', 'dtype'],
  ['raw bits as float32', () => Tensor.from(new Uint16Array(6), [6], 'float32'), 'ERR_DTYPE', ''],
  ['integers as float32', () => Tensor.from(new Int32Array(6), [6], 'float32'), 'ERR_DTYPE', ''],
  ['floats as integers', () => Tensor.from(new Float32Array(6), [6], 'int32'), 'ERR_DTYPE', ''],
  ['float64', () => Tensor.from(new Float64Array(6) as any, [6]), 'ERR_DTYPE', ''],
  ['a plain array', () => Tensor.from([1, 2] as any, [2]), 'ERR_DTYPE', ''],
  ['an unknown dtype', () => Tensor.from(new Float32Array(6), [6], 'float8' as any), 'ERR_DTYPE', 'float8'],
];

test.each(made)('Tensor.from refuses %s', (_what, make, code, about) => {
  expectFailure(thrownBy(make), { code, about });
});

describe('a disposed tensor', () => {
  test('gives no data and goes nowhere', async () => {
    const tensor = disposed([4]);
    const failure = { code: 'ERR_DISPOSED', about: '' };
    expectFailure(
      thrownBy(() => tensor.data),
      failure,
    );
    expectFailure(
      thrownBy(() => tensor.toArraySync()),
      failure,
    );
    expectFailure(
      thrownBy(() => tensor.toSync('cpu')),
      failure,
    );
    expectFailure(await rejectionOf(tensor.toArray()), failure);
    expectFailure(await rejectionOf(tensor.to('cpu')), failure);
  });
});

test.each(['tpu', 'cuda:99', '', 'cuda:x'])('no tensor goes to the device %j', async (device) => {
  const tensor = zeros([4]);
  const failure = { code: 'ERR_DEVICE', about: '' };
  expectFailure(
    thrownBy(() => tensor.toSync(device)),
    failure,
  );
  expectFailure(await rejectionOf(tensor.to(device)), failure);
});

describeOnGpus((device) => {
  test('tensors of two devices', async () => {
    const elsewhere = zeros([2, 4, 6]).toSync(device);
    await expectBothRefuse(withTensors({ delta: elsewhere }), { code: 'ERR_DEVICE', about: 'delta' });
  });

  test('cuSeqlens on the GPU, which is read on the host', async () => {
    const { options } = tensorOptions(randomCase({ ...small, batch: 1 }), device);
    const cuSeqlens = Tensor.from(Int32Array.of(0, 6), [2]).toSync(device);
    await expectBothRefuse({ ...options, cuSeqlens }, { code: 'ERR_DEVICE', about: 'cuSeqlens' });
  });

  test('the data of a tensor on a GPU', () => {
    expectFailure(
      thrownBy(() => zeros([4]).toSync(device).data),
      { code: 'ERR_DEVICE', about: device },
    );
  });
});
