import { describe, expect, test } from '@jest/globals';
import { type DType, mambaLayerStep, mambaLayerStepSync, Tensor } from 'selective-scan';
import { expectBothRefuse, expectFailure, type Forms, type LooseOptions, thrownBy } from './support/failures';
import { layerStepCase, layerStepTensors } from './support/layer-step-case';

const layerStep: Forms = { promise: mambaLayerStep, sync: mambaLayerStepSync };

/** Good options, changed: batch 2, hidden 6, dim 4, dtRank 2, dstate 3, width 4. */
function given(change: LooseOptions = {}): LooseOptions {
  const problem = layerStepCase({ batch: 2, hidden: 6, dim: 4, dtRank: 2, dstate: 3 });
  return { ...layerStepTensors(problem, 'cpu'), hidden: zeros([2, 6]), ...change };
}

function withSlots(slots: unknown, change: LooseOptions = {}): LooseOptions {
  return given({ convState: zeros([5, 4, 3]), ssmState: zeros([5, 4, 3]), slots, ...change });
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

function shared(): LooseOptions {
  const both = zeros([2, 6]);
  return given({ hidden: both, residual: both });
}

type Row = [what: string, options: () => unknown, code: string, about: string];

// Made inside the tests, so that nothing happens while they are collected.
const shapes: Row[] = [
  [
    'an inProj without z',
    () => given({ inProj: zeros([4, 6]) }),
    'ERR_SHAPE',
    'Expected inProj to have shape [2 * dim, hidden] = [8, 6] but received [4, 6].',
  ],
  ['hidden of rank 3', () => given({ hidden: zeros([2, 1, 6]) }), 'ERR_SHAPE', 'hidden'],
  ['hidden of no width', () => given({ hidden: zeros([2, 0]) }), 'ERR_SHAPE', 'hidden'],
  ['a residual of another batch', () => given({ residual: zeros([3, 6]) }), 'ERR_SHAPE', 'residual'],
  ['normWeight of another width', () => given({ normWeight: zeros([5]) }), 'ERR_SHAPE', 'normWeight'],
  ['convWeight with a middle axis', () => given({ convWeight: zeros([4, 1, 4]) }), 'ERR_SHAPE', 'convWeight'],
  ['a width of 1', () => given({ convWeight: zeros([4, 1]), convState: zeros([2, 4, 0]) }), 'ERR_SHAPE', 'width'],
  ['a width of 5', () => given({ convWeight: zeros([4, 5]), convState: zeros([2, 4, 4]) }), 'ERR_SHAPE', 'width'],
  ['a convState as wide as the weight', () => given({ convState: zeros([2, 4, 4]) }), 'ERR_SHAPE', 'convState'],
  ['an xProj without C', () => given({ xProj: zeros([5, 4]) }), 'ERR_SHAPE', 'xProj'],
  ['a dtProj turned', () => given({ dtProj: zeros([2, 4]) }), 'ERR_SHAPE', 'xProj'],
  ['a dtBias of dtRank', () => given({ dtBias: zeros([2]) }), 'ERR_SHAPE', 'dtBias'],
  ['A of rank 1', () => given({ A: zeros([12]) }), 'ERR_SHAPE', 'A'],
  ['D as a matrix', () => given({ D: zeros([4, 1]) }), 'ERR_SHAPE', 'D'],
  ['an ssmState of another batch', () => given({ ssmState: zeros([3, 4, 3]) }), 'ERR_SHAPE', 'ssmState'],
  ['an outProj turned', () => given({ outProj: zeros([4, 6]) }), 'ERR_SHAPE', 'outProj'],
  ['a bias of x alone', () => given({ inProjBias: zeros([4]) }), 'ERR_SHAPE', 'inProjBias'],
  ['outProjBias of dim', () => given({ outProjBias: zeros([4]) }), 'ERR_SHAPE', 'outProjBias'],
  [
    'pools of two sizes',
    () => withSlots(Int32Array.of(0, 1), { convState: zeros([4, 4, 3]) }),
    'ERR_SHAPE',
    'convState',
  ],
];

const slots: Row[] = [
  ['too few', () => withSlots(Int32Array.of(0)), 'ERR_SHAPE', 'slots to have length batch = 2 but received 1'],
  ['past the end', () => withSlots(Int32Array.of(0, 5)), 'ERR_SHAPE', 'slots from -1 to 4 but received 5 for row 1'],
  ['twice the same', () => withSlots(Int32Array.of(3, 3)), 'ERR_SHAPE', 'received 3 for rows 0 and 1'],
  ['floats', () => withSlots(new Float32Array(2)), 'ERR_DTYPE', 'slots'],
];

const dtypes: Row[] = [
  ['no hidden', () => given({ hidden: undefined }), 'ERR_DTYPE', 'hidden'],
  ['no outProj', () => given({ outProj: undefined }), 'ERR_DTYPE', 'outProj'],
  [
    'a typed array as residual',
    () => given({ residual: new Float32Array(12) }),
    'ERR_DTYPE',
    'Expected residual to be a Tensor, whose memory is updated in place, but received a typed array.',
  ],
  ['hidden as integers', () => given({ hidden: zeros([2, 6], 'int32') }), 'ERR_DTYPE', 'hidden'],
  ['a residual of half precision', () => given({ residual: zeros([2, 6], 'float16') }), 'ERR_DTYPE', 'residual'],
  ['a matrix unlike hidden', () => given({ xProj: zeros([8, 4], 'bfloat16') }), 'ERR_DTYPE', 'xProj'],
  ['a convState unlike hidden', () => given({ convState: zeros([2, 4, 3], 'float16') }), 'ERR_DTYPE', 'convState'],
  ['a normWeight unlike hidden', () => given({ normWeight: zeros([6], 'bfloat16') }), 'ERR_DTYPE', 'normWeight'],
  ['a complex ssmState', () => given({ ssmState: zeros([2, 4, 3], 'complex64') }), 'ERR_DTYPE', 'ssmState'],
  ['a complex A', () => given({ A: zeros([4, 3], 'complex64') }), 'ERR_DTYPE', 'A'],
];

const others: Row[] = [
  ['no options', () => undefined, 'ERR_OPTION', 'options'],
  ['another name', () => given({ x: zeros([2, 6]) }), 'ERR_OPTION', "'x'"],
  ['a negative eps', () => given({ eps: -1 }), 'ERR_OPTION', 'eps'],
  ['eps as a string', () => given({ eps: '1e-5' }), 'ERR_OPTION', 'eps'],
  ['no number as mixerNormEps', () => given({ mixerNormEps: Number.NaN }), 'ERR_OPTION', 'mixerNormEps'],
  ['hidden that is the residual', shared, 'ERR_OPTION', 'Expected hidden to be another tensor than residual'],
  ['a typed array among tensors', () => given({ D: new Float32Array(4) }), 'ERR_DEVICE', 'D'],
  ['another device named', () => given({ device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
  ['a disposed state', () => given({ ssmState: disposed([2, 4, 3]) }), 'ERR_DISPOSED', 'ssmState'],
];

describe.each([
  ['shapes', shapes],
  ['slots', slots],
  ['dtypes', dtypes],
  ['options, kinds, devices and lives', others],
])('wrong %s are refused', (_topic, rows) => {
  test.each(rows)('%s', async (_what, options, code, about) => {
    await expectBothRefuse(options(), { code, about }, layerStep);
  });
});

test('the blocking form takes no signal', () => {
  const act = () => mambaLayerStepSync(given({ signal: new AbortController().signal }) as any);
  expectFailure(thrownBy(act), { code: 'ERR_OPTION', about: 'signal' });
});

test('a call that was refused leaves residual and states alone', () => {
  const ones = (dims: number[]) => {
    return Tensor.from(new Float32Array(dims.reduce((product, length) => product * length, 1)).fill(1), dims);
  };
  const states = { residual: ones([2, 6]), convState: ones([5, 4, 3]), ssmState: ones([5, 4, 3]) };
  thrownBy(() => mambaLayerStepSync(withSlots(Int32Array.of(0, 5), states) as any));
  for (const state of Object.values(states)) expect(state.data.every((x) => x === 1)).toBe(true);
});
