import { describe, expect, test } from '@jest/globals';
import { type DType, sample, sampleSync, type Tensor } from 'selective-scan';
import { describeOnGpus } from './support/devices';
import { expectBothRefuse, expectFailure, type LooseOptions, thrownBy } from './support/failures';
import { placed } from './support/rows';

function zeros(dims: number[], dtype: DType = 'float32'): Tensor {
  return placed(new Array(dims.reduce((product, size) => product * size, 1)).fill(0), dims, dtype, 'cpu');
}

function disposed(dims: number[], dtype: DType): Tensor {
  const tensor = zeros(dims, dtype);
  tensor.dispose();
  return tensor;
}

/** Good options, changed: logits [2, 3]. */
function given(change: LooseOptions): LooseOptions {
  return { logits: zeros([2, 3]), random: zeros([2, 3], 'int32'), ...change };
}

const seen = (): Tensor => zeros([2, 3], 'int32');
const both = (): LooseOptions => {
  const one = zeros([2, 3], 'int32');
  return { seen: one, random: one };
};

const views = (): LooseOptions => {
  const one = zeros([2, 3], 'int32');
  return { seen: one, random: one.reshape([2, 3]) };
};

type Row = [what: string, change: () => LooseOptions, code: string, about: string];

const arrays: Row[] = [
  ['no logits', () => ({ logits: undefined }), 'ERR_DTYPE', 'logits to be a Tensor but received undefined'],
  ['a typed array', () => ({ logits: new Float32Array(6) }), 'ERR_DTYPE', 'received a typed array'],
  ['logits of integers', () => ({ logits: zeros([2, 3], 'int32') }), 'ERR_DTYPE', 'logits'],
  ['logits of one axis', () => ({ logits: zeros([3]) }), 'ERR_SHAPE', 'logits to have the 2 axes [batch, vocab]'],
  ['no tokens', () => ({ logits: zeros([2, 0]) }), 'ERR_SHAPE', 'vocab'],
  ['too many tokens', () => ({ logits: zeros([1, 2 ** 23 + 1]) }), 'ERR_SHAPE', 'vocab to be at most 8388608'],
  ['seen of another vocab', () => ({ seen: zeros([2, 4], 'int32') }), 'ERR_SHAPE', 'seen'],
  ['seen of floats', () => ({ seen: zeros([2, 3]) }), 'ERR_DTYPE', 'seen'],
  [
    'random of two words',
    () => ({ random: zeros([2, 2], 'int32') }),
    'ERR_SHAPE',
    'random to have shape [batch, words]',
  ],
  ['random of another batch', () => ({ random: zeros([1, 3], 'int32') }), 'ERR_SHAPE', 'random'],
  ['random of floats', () => ({ random: zeros([2, 3]) }), 'ERR_DTYPE', 'random'],
  ['random as a typed array', () => ({ random: new Int32Array(6) }), 'ERR_DEVICE', 'random to be a Tensor'],
  ['no random', () => ({ random: undefined }), 'ERR_OPTION', 'random'],
  ['a penalty without seen', () => ({ repetitionPenalty: 1.1 }), 'ERR_OPTION', 'seen'],
  ['random that is seen', both, 'ERR_OPTION', 'random to be another tensor than seen'],
  ['random that is a view of seen', views, 'ERR_OPTION', 'random to be another tensor than seen'],
  ['disposed logits', () => ({ logits: disposed([2, 3], 'float32') }), 'ERR_DISPOSED', 'logits'],
  ['disposed random', () => ({ random: disposed([2, 3], 'int32') }), 'ERR_DISPOSED', 'random'],
];

const options: Row[] = [
  ['temperature below 0', () => ({ temperature: -0.1 }), 'ERR_OPTION', 'temperature to be a number of at least 0'],
  ['temperature without end', () => ({ temperature: Number.POSITIVE_INFINITY }), 'ERR_OPTION', 'temperature'],
  ['temperature NaN', () => ({ temperature: Number.NaN }), 'ERR_OPTION', 'temperature'],
  ['temperature as text', () => ({ temperature: '1' }), 'ERR_OPTION', 'temperature'],
  ['topK in part', () => ({ topK: 1.5 }), 'ERR_OPTION', 'topK to be a whole number'],
  ['topK below 0', () => ({ topK: -1 }), 'ERR_OPTION', 'topK'],
  ['topK of 2^53', () => ({ topK: 2 ** 53 }), 'ERR_OPTION', 'topK'],
  ['topP above 1', () => ({ topP: 1.01 }), 'ERR_OPTION', 'topP to be a number from 0 to 1'],
  ['topP NaN', () => ({ topP: Number.NaN }), 'ERR_OPTION', 'topP'],
  ['minP below 0', () => ({ minP: -0.5 }), 'ERR_OPTION', 'minP'],
  ['repetitionPenalty 0', () => ({ repetitionPenalty: 0, seen: seen() }), 'ERR_OPTION', 'repetitionPenalty'],
  ['repetitionPenalty 1e-50', () => ({ repetitionPenalty: 1e-50, seen: seen() }), 'ERR_OPTION', 'repetitionPenalty'],
  ['repetitionPenalty 1e50', () => ({ repetitionPenalty: 1e50, seen: seen() }), 'ERR_OPTION', 'repetitionPenalty'],
  ['returnLogprobs as text', () => ({ returnLogprobs: 'yes' }), 'ERR_OPTION', 'returnLogprobs'],
  ["transformers' name", () => ({ top_k: 5 }), 'ERR_OPTION', "'top_k'"],
  ['another device', () => ({ device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
];

describe.each([
  ['arrays', arrays],
  ['options', options],
])('wrong %s are refused', (_topic, rows) => {
  test.each(rows)('%s', async (_what, change, code, about) => {
    await expectBothRefuse(given(change()), { code, about }, { promise: sample, sync: sampleSync });
  });
});

test('the blocking form takes no signal', () => {
  const act = () => sampleSync(given({ signal: new AbortController().signal }) as any);
  expectFailure(thrownBy(act), { code: 'ERR_OPTION', about: 'signal' });
});

test('a call that was refused or aborted raises nothing', async () => {
  const random = zeros([2, 3], 'int32');
  thrownBy(() => sampleSync(given({ random, topP: 2 }) as any));
  await expect(sample(given({ random, signal: AbortSignal.abort() }) as any)).rejects.toThrow('aborted');
  expect([...random.data]).toEqual([0, 0, 0, 0, 0, 0]);
});

describeOnGpus((device) => {
  test('tensors of two devices', async () => {
    const options = { logits: zeros([2, 3]).toSync(device), random: zeros([2, 3], 'int32') };
    await expectBothRefuse(options, { code: 'ERR_DEVICE', about: 'random' }, { promise: sample, sync: sampleSync });
  });
});
