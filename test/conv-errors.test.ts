import { describe, expect, test } from '@jest/globals';
import { causalConv1dSync, causalConv1dUpdateSync, type DType, embeddingSync, Tensor } from 'selective-scan';
import { describeOnGpus } from './support/devices';
import {
  conv,
  convUpdate,
  expectBothRefuse,
  expectFailure,
  type Forms,
  type LooseOptions,
  lookUp,
  thrownBy,
} from './support/failures';

function zeros(dims: number[], dtype: DType = 'float32'): Tensor {
  const size = dims.reduce((product, length) => product * length, dtype === 'complex64' ? 2 : 1);
  return Tensor.from(dtype === 'int32' ? new Int32Array(size) : new Float32Array(size), dims, dtype);
}

function disposed(dims: number[], dtype: DType = 'float32'): Tensor {
  const tensor = zeros(dims, dtype);
  tensor.dispose();
  return tensor;
}

/** Good options of causalConv1d, changed: batch 2, dim 4, seqlen 6, width 3. */
function convolution(change: LooseOptions = {}): LooseOptions {
  return { x: zeros([2, 4, 6]), weight: zeros([4, 3]), bias: zeros([4]), ...change };
}

function packed(cuSeqlens: unknown, change: LooseOptions = {}): LooseOptions {
  return convolution({ x: zeros([1, 4, 6]), cuSeqlens, ...change });
}

/** Good options of causalConv1dUpdate, changed: batch 2, dim 4, width 3. */
function update(change: LooseOptions = {}): LooseOptions {
  return { state: zeros([2, 4, 2]), x: zeros([2, 4]), weight: zeros([4, 3]), bias: zeros([4]), ...change };
}

function withSlots(slots: unknown): LooseOptions {
  return update({ state: zeros([5, 4, 2]), slots });
}

function shared(): LooseOptions {
  const both = zeros([2, 2, 2]);
  return { state: both, x: both, weight: zeros([2, 3]) };
}

/** Good options of embedding, changed: vocab 5, dim 4, 3 rows. */
function table(change: LooseOptions = {}): LooseOptions {
  return { ids: Int32Array.of(0, 4, 2), weight: zeros([5, 4]), ...change };
}

type Row = [what: string, options: () => unknown, code: string, about: string];

// Made inside the tests, so that nothing happens while they are collected.
const convolutions: Row[] = [
  ['no options', () => undefined, 'ERR_OPTION', 'options'],
  ["selectiveScan's name of x", () => convolution({ u: zeros([2, 4, 6]) }), 'ERR_OPTION', "'u'"],
  ['no x', () => convolution({ x: undefined }), 'ERR_DTYPE', 'x'],
  ['a typed array as x', () => convolution({ x: new Float32Array(48) }), 'ERR_DTYPE', 'Expected x to be a Tensor'],
  ['x of rank 2', () => convolution({ x: zeros([8, 6]) }), 'ERR_SHAPE', 'the 3 axes [batch, dim, seqlen]'],
  ['x as integers', () => convolution({ x: zeros([2, 4, 6], 'int32') }), 'ERR_DTYPE', 'x'],
  ['x in the other layout', () => convolution({ layout: 'bld' }), 'ERR_SHAPE', 'weight'],
  ['no channels', () => convolution({ x: zeros([2, 0, 6]) }), 'ERR_SHAPE', 'dim'],
  ['no weight', () => convolution({ weight: undefined }), 'ERR_DTYPE', 'weight'],
  ['a typed array as weight', () => convolution({ weight: new Float32Array(12) }), 'ERR_DEVICE', 'weight'],
  ['weight with an axis of groups', () => convolution({ weight: zeros([4, 1, 3]) }), 'ERR_SHAPE', 'weight'],
  [
    'weight of another dim',
    () => convolution({ weight: zeros([5, 3]) }),
    'ERR_SHAPE',
    'Expected weight to have shape [dim, width] = [4, 3] but received [5, 3].',
  ],
  ['width 1', () => convolution({ weight: zeros([4, 1]) }), 'ERR_SHAPE', 'width to be from 2 to 8 but received 1'],
  ['width 9', () => convolution({ weight: zeros([4, 9]) }), 'ERR_SHAPE', 'width to be from 2 to 8 but received 9'],
  ['width 0', () => convolution({ weight: zeros([4, 0]) }), 'ERR_SHAPE', 'width'],
  ['weight less precise than x', () => convolution({ weight: zeros([4, 3], 'float16') }), 'ERR_DTYPE', 'weight'],
  ['weight as integers', () => convolution({ weight: zeros([4, 3], 'int32') }), 'ERR_DTYPE', 'weight'],
  ['bias unlike weight', () => convolution({ bias: zeros([4], 'bfloat16') }), 'ERR_DTYPE', 'bias'],
  ['bias of another dim', () => convolution({ bias: zeros([3]) }), 'ERR_SHAPE', 'bias'],
  ['a state of the width', () => convolution({ initialState: zeros([2, 4, 3]) }), 'ERR_SHAPE', 'initialState'],
  ['a state unlike x', () => convolution({ initialState: zeros([2, 4, 2], 'float16') }), 'ERR_DTYPE', 'initialState'],
  ['an unknown activation', () => convolution({ activation: 'gelu' }), 'ERR_OPTION', "'silu' but received 'gelu'"],
  ['activation as a flag', () => convolution({ activation: true }), 'ERR_OPTION', 'activation'],
  ['an unknown layout', () => convolution({ layout: 'dbl' }), 'ERR_OPTION', 'layout'],
  ['returnFinalState as a number', () => convolution({ returnFinalState: 1 }), 'ERR_OPTION', 'returnFinalState'],
  ['another device named', () => convolution({ device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
  ['a disposed bias', () => convolution({ bias: disposed([4]) }), 'ERR_DISPOSED', 'bias'],
  ['cuSeqlens of a batch', () => convolution({ cuSeqlens: Int32Array.of(0, 6) }), 'ERR_SHAPE', 'batch to be 1'],
  ['cuSeqlens of one entry', () => packed(Int32Array.of(0)), 'ERR_SHAPE', 'cuSeqlens'],
  ['cuSeqlens from 1', () => packed(Int32Array.of(1, 6)), 'ERR_SHAPE', 'cuSeqlens to begin with 0'],
  ['cuSeqlens that fall', () => packed(Int32Array.of(0, 4, 3, 6)), 'ERR_SHAPE', '3 after 4 at entry 2'],
  ['cuSeqlens that end early', () => packed(Int32Array.of(0, 5)), 'ERR_SHAPE', 'cuSeqlens to end with seqlen = 6'],
  ['cuSeqlens as floats', () => packed(new Float32Array(2)), 'ERR_DTYPE', 'cuSeqlens'],
  [
    'states of another number of sequences',
    () => packed(Int32Array.of(0, 2, 6), { initialState: zeros([1, 4, 2]) }),
    'ERR_SHAPE',
    'Expected initialState to have shape [sequences, dim, width - 1] = [2, 4, 2] but received [1, 4, 2].',
  ],
];

const updates: Row[] = [
  ['no state', () => update({ state: undefined }), 'ERR_DTYPE', 'state'],
  [
    'a typed array as state',
    () => update({ state: new Float32Array(16) }),
    'ERR_DTYPE',
    'Expected state to be a Tensor, whose memory is updated in place, but received a typed array.',
  ],
  ['a state of rank 2', () => update({ state: zeros([8, 2]) }), 'ERR_SHAPE', 'state'],
  ['a state of another batch', () => update({ state: zeros([3, 4, 2]) }), 'ERR_SHAPE', '[batch, dim, width - 1]'],
  ['a state of the width', () => update({ state: zeros([2, 4, 3]) }), 'ERR_SHAPE', 'state'],
  ['a state unlike x', () => update({ state: zeros([2, 4, 2], 'bfloat16') }), 'ERR_DTYPE', 'state'],
  ['x of rank 1', () => update({ x: zeros([8]) }), 'ERR_SHAPE', '[batch, dim] or the 3 axes [batch, tokens, dim]'],
  ['no tokens', () => update({ x: zeros([2, 0, 4]) }), 'ERR_SHAPE', 'tokens'],
  ['x of another dim', () => update({ x: zeros([2, 5]) }), 'ERR_SHAPE', 'weight'],
  ['x that is the state', shared, 'ERR_OPTION', 'Expected x to be another tensor than state'],
  ['width 9', () => update({ weight: zeros([4, 9]), state: zeros([2, 4, 8]) }), 'ERR_SHAPE', 'width'],
  ['an unknown activation', () => update({ activation: 'relu' }), 'ERR_OPTION', 'activation'],
  ['a layout', () => update({ layout: 'bdl' }), 'ERR_OPTION', "'layout'"],
  ['too few slots', () => withSlots(Int32Array.of(0)), 'ERR_SHAPE', 'slots to have length batch = 2 but received 1'],
  ['a slot past the end', () => withSlots(Int32Array.of(0, 5)), 'ERR_SHAPE', 'received 5 for row 1'],
  ['a slot below -1', () => withSlots(Int32Array.of(-2, 1)), 'ERR_SHAPE', 'slots'],
  ['a slot twice', () => withSlots(Int32Array.of(3, 3)), 'ERR_SHAPE', 'received 3 for rows 0 and 1'],
  ['slots as floats', () => withSlots(zeros([2])), 'ERR_DTYPE', 'slots'],
  ['a disposed x', () => update({ x: disposed([2, 4]) }), 'ERR_DISPOSED', 'x'],
];

const tables: Row[] = [
  ['no weight', () => table({ weight: undefined }), 'ERR_DTYPE', 'Expected weight to be a Tensor'],
  ['a typed array as weight', () => table({ weight: new Float32Array(20) }), 'ERR_DTYPE', 'weight'],
  ['weight of rank 1', () => table({ weight: zeros([20]) }), 'ERR_SHAPE', 'the 2 axes [vocab, dim]'],
  ['weight without columns', () => table({ weight: zeros([5, 0]) }), 'ERR_SHAPE', 'dim'],
  ['weight as integers', () => table({ weight: zeros([5, 4], 'int32') }), 'ERR_DTYPE', 'weight'],
  ['no ids', () => table({ ids: undefined }), 'ERR_DTYPE', 'ids'],
  ['ids as a plain array', () => table({ ids: [0, 1] }), 'ERR_DTYPE', 'ids'],
  ['ids as floats', () => table({ ids: new Float32Array(3) }), 'ERR_DTYPE', 'ids'],
  ['ids as a tensor of floats', () => table({ ids: zeros([3]) }), 'ERR_DTYPE', 'ids'],
  ['disposed ids', () => table({ ids: disposed([3], 'int32') }), 'ERR_DISPOSED', 'ids'],
  ['dtype of integers', () => table({ dtype: 'int32' }), 'ERR_DTYPE', 'dtype'],
  ['dtype as a number', () => table({ dtype: 1 }), 'ERR_DTYPE', 'dtype'],
  ['an unknown option', () => table({ scale: 2 }), 'ERR_OPTION', "'scale'"],
  ['another device named', () => table({ device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
];

const ops: [string, Forms, Row[]][] = [
  ['causalConv1d', conv, convolutions],
  ['causalConv1dUpdate', convUpdate, updates],
  ['embedding', lookUp, tables],
];

describe.each(ops)('%s refuses', (_name, op, rows) => {
  test.each(rows)('%s', async (_what, options, code, about) => {
    await expectBothRefuse(options(), { code, about }, op);
  });
});

test('good options are not refused', () => {
  expect(causalConv1dSync(convolution() as any).out.dims).toEqual([2, 4, 6]);
  expect(causalConv1dUpdateSync(update() as any).out.dims).toEqual([2, 4]);
  expect(embeddingSync(table() as any).out.dims).toEqual([3, 4]);
});

test('the blocking forms take no signal', () => {
  const { signal } = new AbortController();
  const failure = { code: 'ERR_OPTION', about: 'signal' };
  expectFailure(
    thrownBy(() => causalConv1dSync(convolution({ signal }) as any)),
    failure,
  );
  expectFailure(
    thrownBy(() => causalConv1dUpdateSync(update({ signal }) as any)),
    failure,
  );
  expectFailure(
    thrownBy(() => embeddingSync(table({ signal }) as any)),
    failure,
  );
});

test('an update that was refused leaves the state alone', () => {
  const state = Tensor.from(new Float32Array(40).fill(1), [5, 4, 2]);
  thrownBy(() => causalConv1dUpdateSync({ ...withSlots(Int32Array.of(0, 5)), state } as any));
  expect(state.data.every((x) => x === 1)).toBe(true);
});

describeOnGpus((device) => {
  test('tensors of two devices', async () => {
    const failure = (about: string) => ({ code: 'ERR_DEVICE', about });
    const there = (tensor: Tensor): Tensor => tensor.toSync(device);
    await expectBothRefuse(convolution({ weight: there(zeros([4, 3])) }), failure('weight'), conv);
    await expectBothRefuse(update({ x: there(zeros([2, 4])) }), failure('x'), convUpdate);
    await expectBothRefuse(update({ slots: there(zeros([2], 'int32')) }), failure('slots'), convUpdate);
    await expectBothRefuse(table({ ids: there(zeros([3], 'int32')) }), failure('ids'), lookUp);
  });
});
