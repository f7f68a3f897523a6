import { type Axis, checkFlag, checkSize, describe, readOptions } from '../check.js';
import { nativeCode } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import type { Tensor } from '../tensor.js';
import { Operands } from './operands.js';
import { checkIsTensor } from './rows.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

/** How a token is chosen, for all rows of a call. */
export interface SampleRule {
  /** What logits are divided by, at least 0; 0 takes the greatest logit, of equal ones the lowest index. Default 1. */
  temperature?: number | undefined;
  /** Keep this many of the most probable tokens; 0 keeps all. Default 0. */
  topK?: number | undefined;
  /** Keep the fewest tokens that together have this share of the probability, 0 to 1, and at least one. Default 1. */
  topP?: number | undefined;
  /** Keep tokens whose probability is at least this share of the greatest, 0 to 1. Default 0. */
  minP?: number | undefined;
  /** Logits of tokens that were seen are divided by it if they are above 0, else multiplied; above 0. Default 1. */
  repetitionPenalty?: number | undefined;
}

/** Arguments of sample. Its arrays are Tensors of one device. */
export interface SampleOptions extends SampleRule {
  /** Rows of logits, [batch, vocab], float32, float16 or bfloat16. */
  logits: Tensor;
  /**
   * How often each token was seen, [batch, vocab], int32. Needed for a repetitionPenalty, which falls on counts above
   * 0. The count of the token chosen is raised in place.
   */
  seen?: Tensor | undefined;
  /**
   * Each row's source of random numbers, [batch, 3], int32: two words of a seed, and a counter that is raised in place,
   * so that a captured call draws anew at each replay. Needed unless temperature is 0, and then left as it is.
   */
  random?: Tensor | undefined;
  /** Also return the log-softmax of each row's logits, as they were given, at its token. Default false. */
  returnLogprobs?: boolean | undefined;
  /** May only name the device where the tensors are. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED, and nothing is raised, unless the call has begun by then. */
  signal?: AbortSignal | undefined;
}

export interface SampleResult {
  /** [batch], int32. -1 for a row with NaN among its logits, or with none above minus infinity. */
  tokens: Tensor;
  /** With returnLogprobs: [batch], float32; NaN where the token is -1. */
  logprobs?: Tensor;
  /** Where the call ran. */
  device: string;
}

/** The most tokens of a vocabulary: their probabilities are then summed up without rounding. */
const mostVocab = 2 ** 23;

// Inputs in the order of native/binding/sample.cc.
const inputs = ['logits', 'seen', 'random'] as const;
type Name = (typeof inputs)[number];

const known: ReadonlySet<string> = new Set<keyof SampleOptions>([
  ...inputs,
  ...(['temperature', 'topK', 'topP', 'minP', 'repetitionPenalty', 'returnLogprobs', 'device', 'stream'] as const),
]);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** Read during the native call only, like those of the other ops. */
const nativeSizes = new Float64Array(4);
const nativeNumbers = new Float64Array(4);

/**
 * Chooses one token for each row of logits, on the device where they are. In this order, as transformers does: the
 * repetition penalty (Keskar et al. 2019), the temperature, topK, topP (Holtzman et al. 2019) of what is left, minP
 * (Nguyen et al. 2024); each filter takes tokens of equal logits by their index, lowest first. The token is drawn from
 * what is left by the inverse of its distribution function, in the order of indices, at one number of Philox4x32-10
 * (Salmon et al. 2011) with the seed for its key and the counter for its counter.
 *
 * Probabilities are float32 and are summed up in fixed point, so that the same numbers give the same tokens on every
 * device and in every batch. A token less probable than 2^-40 of the greatest is never drawn; infinite logits share all
 * of the probability.
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_OUT_OF_MEMORY,
 * ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export async function sample(options: SampleOptions): Promise<SampleResult> {
  const read = readOptions<SampleOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  return resultOf(await run(prepare(read), signal));
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function sampleSync(options: Omit<SampleOptions, 'signal'>): SampleResult {
  return resultOf(runSync(prepare(readOptions<SampleOptions>(options, known, 'options'))));
}

function resultOf({ outputs, device }: OpResult): SampleResult {
  const [tokens, logprobs] = outputs as [Tensor, Tensor | undefined];
  return logprobs ? { tokens, logprobs, device } : { tokens, device };
}

/** `options` are a copy that nobody else has. */
function prepare(options: SampleOptions): OpRun<Name> {
  checkIsTensor('logits', options.logits);
  const rule = readRule(options);
  checkNeeds(options, rule);
  const operands = new Operands<Name>(options, inputs, 1);
  operands.refuseAliasesOf('seen');
  const dtype = operands.floatDType('logits');
  const [batch, columns] = operands.dimsOfRank('logits', ['batch', 'vocab']) as [number, number];
  const vocab = checkVocab(columns);
  const rows: Axis = ['batch', batch];
  operands.check('seen', { axes: [rows, ['vocab', vocab]], dtype: 'int32' });
  operands.check('random', { axes: [rows, ['words', 3]], dtype: 'int32' });
  const logprobs = checkFlag('returnLogprobs', options.returnLogprobs);
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [{ axes: [rows], dtype: 'int32' }, logprobs ? { axes: [rows], dtype: 'float32' } : undefined],
    launch: (native, queue, isPromise, arrays, control) => {
      nativeSizes.set([batch, vocab, nativeCode[dtype], Math.min(rule.topK, vocab)]);
      nativeNumbers.set([rule.temperature, rule.topP, rule.minP, rule.repetitionPenalty]);
      return native.sample(queue, isPromise, nativeSizes, nativeNumbers, control, ...arrays);
    },
  };
}

function readRule({ temperature, topK, topP, minP, repetitionPenalty }: SampleRule) {
  const isShare = (share: number): boolean => share >= 0 && share <= 1;
  // As float32, in which it is used, it is neither 0 nor infinite.
  const isPenalty = (penalty: number): boolean => penalty >= 2 ** -126 && penalty <= 2 ** 126;
  return {
    temperature: readNumber('temperature', temperature, 1, 'a number of at least 0', (t) => t >= 0 && t < Infinity),
    topK: readNumber('topK', topK, 0, 'a whole number of at least 0', (k) => Number.isSafeInteger(k) && k >= 0),
    topP: readNumber('topP', topP, 1, 'a number from 0 to 1', isShare),
    minP: readNumber('minP', minP, 0, 'a number from 0 to 1', isShare),
    repetitionPenalty: readNumber('repetitionPenalty', repetitionPenalty, 1, 'a number above 0', isPenalty),
  };
}

function readNumber(
  name: string,
  value: unknown,
  byDefault: number,
  expected: string,
  isRight: (value: number) => boolean,
): number {
  if (value === undefined) return byDefault;
  if (typeof value === 'number' && isRight(value)) return value;
  throw new SelectiveScanError('ERR_OPTION', `Expected ${name} to be ${expected} but received ${describe(value)}.`);
}

function checkNeeds({ seen, random }: SampleOptions, rule: ReturnType<typeof readRule>): void {
  const fail = (expected: string) => new SelectiveScanError('ERR_OPTION', `Expected ${expected}.`);
  if (rule.repetitionPenalty !== 1 && seen === undefined) {
    throw fail('seen to be given for a repetitionPenalty but it is missing');
  }
  if (rule.temperature > 0 && random === undefined) {
    throw fail('random to be given unless temperature is 0 but it is missing');
  }
}

function checkVocab(vocab: number): number {
  if (checkSize('vocab', vocab, 1) <= mostVocab) return vocab;
  throw new SelectiveScanError('ERR_SHAPE', `Expected vocab to be at most ${mostVocab} but received ${vocab}.`);
}
