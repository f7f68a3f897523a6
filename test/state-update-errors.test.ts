import { describe, expect, test } from '@jest/globals';
import { type DType, selectiveStateUpdateSync, Tensor } from 'selective-scan';
import { describeOnGpus } from './support/devices';
import { expectBothRefuse, expectFailure, type LooseOptions, stateUpdate, thrownBy } from './support/failures';
import { updateCase, updateOptions } from './support/update-case';

const small = { batch: 2, dim: 4, dstate: 3 };

/** Good options, changed: state [2, 4, 3] (with slots [5, 4, 3]), u [2, 4], B [2, 3]. */
function given(change: LooseOptions = {}): LooseOptions {
  return { ...updateOptions(updateCase(small), 'cpu', { hasTokenAxis: false }), ...change };
}

function withTokens(change: LooseOptions = {}): LooseOptions {
  return { ...updateOptions(updateCase({ ...small, tokens: 6 }), 'cpu'), ...change };
}

function withSlots(slots: unknown, change: LooseOptions = {}): LooseOptions {
  return given({ state: zeros([5, 4, 3]), slots, ...change });
}

function zeros(dims: number[], dtype: DType = 'float32'): Tensor {
  const size = dims.reduce((product, length) => product * length, dtype === 'complex64' ? 2 : 1);
  return Tensor.from(dtype === 'int32' ? new Int32Array(size) : new Float32Array(size), dims, dtype);
}

function disposed(dims: number[], dtype: DType = 'float32'): Tensor {
  const tensor = zeros(dims, dtype);
  tensor.dispose();
  return tensor;
}

function shared(): LooseOptions {
  const both = zeros([2, 2, 2]);
  const rest = { delta: zeros([2, 2, 2]), A: zeros([2, 2]), B: zeros([2, 2, 2]), C: zeros([2, 2, 2]) };
  return { state: both, u: both, ...rest };
}

type Row = [what: string, options: () => unknown, code: string, about: string];

// Made inside the tests, so that nothing happens while they are collected.
const shapes: Row[] = [
  [
    'a state of another batch',
    () => given({ state: zeros([3, 4, 3]) }),
    'ERR_SHAPE',
    'Expected state to have shape [batch, dim, dstate] = [2, 4, 3] but received [3, 4, 3].',
  ],
  ['a state of rank 2', () => given({ state: zeros([2, 12]) }), 'ERR_SHAPE', 'state'],
  ['a state without channels', () => given({ state: zeros([2, 0, 3]) }), 'ERR_SHAPE', 'dim'],
  ['a state without states', () => given({ state: zeros([2, 4, 0]) }), 'ERR_SHAPE', 'dstate'],
  ['u of rank 1', () => given({ u: zeros([8]) }), 'ERR_SHAPE', 'u'],
  [
    'u of rank 4',
    () => given({ u: zeros([2, 1, 4, 1]) }),
    'ERR_SHAPE',
    'Expected u to have the 2 axes [batch, dim] or the 3 axes [batch, tokens, dim] but received shape [2, 1, 4, 1].',
  ],
  ['u of another dim', () => given({ u: zeros([2, 5]) }), 'ERR_SHAPE', 'u'],
  ['no tokens', () => withTokens({ u: zeros([2, 0, 4]) }), 'ERR_SHAPE', 'tokens'],
  ['delta of other tokens', () => withTokens({ delta: zeros([2, 5, 4]) }), 'ERR_SHAPE', 'delta'],
  ['delta without the tokens of u', () => withTokens({ delta: zeros([2, 4]) }), 'ERR_SHAPE', 'delta'],
  ['z with tokens that u has not', () => given({ z: zeros([2, 1, 4]) }), 'ERR_SHAPE', 'z'],
  ['A turned', () => given({ A: zeros([3, 4]) }), 'ERR_SHAPE', 'A'],
  ['B of rank 1', () => given({ B: zeros([6]) }), 'ERR_SHAPE', 'B'],
  ['B without the tokens of u', () => withTokens({ B: zeros([2, 3]) }), 'ERR_SHAPE', 'B'],
  ['B of another dstate', () => given({ B: zeros([2, 4]) }), 'ERR_SHAPE', 'B'],
  ['groups that do not divide dim', () => given({ B: zeros([2, 3, 3]) }), 'ERR_SHAPE', 'groups'],
  ['no groups', () => given({ B: zeros([2, 0, 3]) }), 'ERR_SHAPE', 'groups'],
  ['C of other groups', () => given({ B: zeros([2, 2, 3]), C: zeros([2, 4, 3]) }), 'ERR_SHAPE', 'C'],
  ['D as a matrix', () => given({ D: zeros([4, 1]) }), 'ERR_SHAPE', 'D'],
  ['deltaBias of another dim', () => given({ deltaBias: zeros([3]) }), 'ERR_SHAPE', 'deltaBias'],
];

const slots: Row[] = [
  ['too few', () => withSlots(Int32Array.of(0)), 'ERR_SHAPE', 'slots to have length batch = 2 but received 1'],
  ['too many', () => withSlots(Int32Array.of(0, 1, 2)), 'ERR_SHAPE', 'slots'],
  ['past the end', () => withSlots(Int32Array.of(0, 5)), 'ERR_SHAPE', 'slots from -1 to 4 but received 5 for row 1'],
  ['below -1', () => withSlots(Int32Array.of(-2, 1)), 'ERR_SHAPE', 'slots'],
  ['the least integer', () => withSlots(Int32Array.of(-(2 ** 31), 1)), 'ERR_SHAPE', 'slots'],
  ['twice the same', () => withSlots(Int32Array.of(3, 3)), 'ERR_SHAPE', 'received 3 for rows 0 and 1'],
  ['past the end, in a tensor', () => withSlots(Tensor.from(Int32Array.of(0, 5), [2])), 'ERR_SHAPE', 'slots'],
  ['a tensor of rank 2', () => withSlots(zeros([2, 1], 'int32')), 'ERR_SHAPE', 'slots'],
  ['floats', () => withSlots(new Float32Array(2)), 'ERR_DTYPE', 'slots'],
  ['a tensor of floats', () => withSlots(zeros([2])), 'ERR_DTYPE', 'slots'],
  ['a plain array', () => withSlots([0, 1]), 'ERR_DTYPE', 'slots'],
  ['a disposed tensor', () => withSlots(disposed([2], 'int32')), 'ERR_DISPOSED', 'slots'],
];

const dtypes: Row[] = [
  ['no state', () => given({ state: undefined }), 'ERR_DTYPE', 'state'],
  ['no delta', () => given({ delta: undefined }), 'ERR_DTYPE', 'delta'],
  [
    'a typed array as state',
    () => given({ state: new Float32Array(24) }),
    'ERR_DTYPE',
    'Expected state to be a Tensor, whose memory is updated in place, but received a typed array.',
  ],
  ['a state as integers', () => given({ state: zeros([2, 4, 3], 'int32') }), 'ERR_DTYPE', 'state'],
  ['a complex state', () => given({ state: zeros([2, 4, 3], 'complex64') }), 'ERR_DTYPE', 'state'],
  ['u as integers', () => given({ u: zeros([2, 4], 'int32') }), 'ERR_DTYPE', 'u'],
  ['delta unlike u', () => given({ delta: zeros([2, 4], 'float16') }), 'ERR_DTYPE', 'delta'],
  ['B unlike u', () => given({ B: zeros([2, 3], 'bfloat16') }), 'ERR_DTYPE', 'B'],
  ['A of half precision', () => given({ A: zeros([4, 3], 'float16') }), 'ERR_DTYPE', 'A'],
  ['a complex A', () => given({ A: zeros([4, 3], 'complex64') }), 'ERR_UNSUPPORTED', 'A'],
  ['D of half precision', () => given({ D: zeros([4], 'bfloat16') }), 'ERR_DTYPE', 'D'],
];

const others: Row[] = [
  ['no options', () => undefined, 'ERR_OPTION', 'options'],
  ["mamba_ssm's name of u", () => given({ x: zeros([2, 4]) }), 'ERR_OPTION', "'x'"],
  ['deltaSoftplus as a number', () => given({ deltaSoftplus: 1 }), 'ERR_OPTION', 'deltaSoftplus'],
  ['returnStates as a string', () => given({ returnStates: 'yes' }), 'ERR_OPTION', 'returnStates'],
  ['u that is the state', shared, 'ERR_OPTION', 'Expected u to be another tensor than state'],
  ['a typed array among tensors', () => given({ u: new Float32Array(8) }), 'ERR_DEVICE', 'u'],
  ['another device named', () => given({ device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
  ['a disposed state', () => given({ state: disposed([2, 4, 3]) }), 'ERR_DISPOSED', 'state'],
  ['a disposed z', () => given({ z: disposed([2, 4]) }), 'ERR_DISPOSED', 'z'],
];

describe.each([
  ['shapes', shapes],
  ['slots', slots],
  ['dtypes', dtypes],
  ['options, kinds, devices and lives', others],
])('wrong %s are refused', (_topic, rows) => {
  test.each(rows)('%s', async (_what, options, code, about) => {
    await expectBothRefuse(options(), { code, about }, stateUpdate);
  });
});

test('the blocking form takes no signal', () => {
  const act = () => selectiveStateUpdateSync(given({ signal: new AbortController().signal }) as any);
  expectFailure(thrownBy(act), { code: 'ERR_OPTION', about: 'signal' });
});

test('a call that was refused leaves the state alone', () => {
  const options = withSlots(Int32Array.of(0, 5), { state: Tensor.from(new Float32Array(60).fill(1), [5, 4, 3]) });
  thrownBy(() => selectiveStateUpdateSync(options as any));
  expect((options.state as Tensor).data.every((h) => h === 1)).toBe(true);
});

describeOnGpus((device) => {
  const onGpu = (change: LooseOptions = {}): LooseOptions => ({
    ...updateOptions(updateCase({ ...small, slots: [1, 0] }), device, { hasTokenAxis: false, slotsAs: 'device' }),
    ...change,
  });

  test('tensors of two devices', async () => {
    await expectBothRefuse(onGpu({ u: zeros([2, 4]) }), { code: 'ERR_DEVICE', about: 'u' }, stateUpdate);
    const slots = Tensor.from(Int32Array.of(1, 0), [2]).toSync(device);
    await expectBothRefuse(given({ slots }), { code: 'ERR_DEVICE', about: 'slots' }, stateUpdate);
  });

  test('slots on the GPU of a wrong shape or dtype', async () => {
    const short = Tensor.from(Int32Array.of(1), [1]).toSync(device);
    await expectBothRefuse(onGpu({ slots: short }), { code: 'ERR_SHAPE', about: 'slots' }, stateUpdate);
    const floats = zeros([2]).toSync(device);
    await expectBothRefuse(onGpu({ slots: floats }), { code: 'ERR_DTYPE', about: 'slots' }, stateUpdate);
  });
});
