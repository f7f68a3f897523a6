import { type SampleResult, type SampleRule, sample, sampleSync } from 'selective-scan';
import type { Form } from './call';
import { seeded } from './random';
import type { FloatType } from './rounding';
import { normals, placed, taken } from './rows';

/** Rows of logits with what they are sampled by. */
export interface SampleCase {
  batch: number;
  vocab: number;
  dtype: FloatType;
  logits: Float64Array;
  rule: SampleRule;
  seen: Int32Array | undefined;
  random: Int32Array;
}

export interface SampleSpec extends SampleRule {
  batch?: number;
  vocab?: number;
  dtype?: FloatType;
  scale?: number;
  /** One row of logits for all of the batch. */
  sameLogits?: boolean;
  logits?: readonly number[];
  withSeen?: boolean;
  seed?: number;
}

export function sampleCase(spec: SampleSpec): SampleCase {
  const {
    batch = 4,
    dtype = 'float32',
    scale = 3,
    sameLogits = false,
    logits: given,
    withSeen,
    seed = 11,
    ...rest
  } = spec;
  const { vocab: givenVocab, ...rule } = rest;
  const vocab = given ? given.length : (givenVocab ?? 100);
  const row = given ? Float64Array.from(given) : normals(vocab, dtype, seed, scale);
  const logits = sameLogits || given ? new Float64Array(batch * vocab) : normals(batch * vocab, dtype, seed, scale);
  if (sameLogits || given) for (let b = 0; b < batch; b++) logits.set(row, b * vocab);
  const random = seeded(12 + seed);
  const needsSeen = withSeen || (rule.repetitionPenalty ?? 1) !== 1;
  return {
    batch,
    vocab,
    dtype,
    logits,
    rule,
    seen: needsSeen ? Int32Array.from({ length: batch * vocab }, () => random.integer(-1, 2)) : undefined,
    // Seeds that a row has for itself, in all their bits, and counters from 0.
    random: Int32Array.from({ length: 3 * batch }, (_, i) => {
      return i % 3 === 2 ? Math.floor(i / 3) : random.integer(-(2 ** 31), 2 ** 31 - 1);
    }),
  };
}

export function rowOf(c: SampleCase, b: number) {
  const part = <T extends Float64Array | Int32Array>(x: T): T => x.slice(b * c.vocab, (b + 1) * c.vocab) as T;
  return { logits: part(c.logits), seen: c.seen && part(c.seen), random: [...c.random.slice(3 * b, 3 * b + 3)] };
}

/** The operands on a device. */
export function sampleOptions(c: SampleCase, device: string) {
  return {
    ...c.rule,
    logits: placed(c.logits, [c.batch, c.vocab], c.dtype, device),
    ...(c.seen && { seen: placed(c.seen, [c.batch, c.vocab], 'int32', device) }),
    random: placed(c.random, [c.batch, 3], 'int32', device),
  };
}

/** What a call returns, and what it made of the tensors that it updates. */
export async function callSample(c: SampleCase, device: string, form: Form = 'sync') {
  const options = { ...sampleOptions(c, device), returnLogprobs: true };
  const result: SampleResult = form === 'sync' ? sampleSync(options) : await sample(options);
  options.logits.dispose();
  return {
    tokens: [...(await taken(result.tokens))],
    logprobs: result.logprobs && [...(await taken(result.logprobs))],
    seen: options.seen && (await taken(options.seen)),
    random: await taken(options.random),
  };
}
