import { checkFlag, describe, readOptions } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { checkSignal } from '../signal.js';
import type { MambaConfig } from './config.js';
import { MambaState } from './state.js';

/** How the next token is chosen: in the order of transformers, repetition penalty, temperature, topK, topP, minP. */
export interface SamplingOptions {
  /** 0, the default, takes the likeliest token each time; 1 draws from the model's own distribution. */
  temperature?: number | undefined;
  /** Draw from that many likeliest tokens only; 0, the default, from all. */
  topK?: number | undefined;
  /** Draw from the fewest likeliest tokens that have this probability together. Default 1. */
  topP?: number | undefined;
  /** Draw from tokens that have this fraction of the likeliest one's probability at least. Default 0. */
  minP?: number | undefined;
  /** Above 1, tokens that the text has already become less likely (Keskar et al. 2019). Default 1. */
  repetitionPenalty?: number | undefined;
  /** A whole number by which draws can be repeated; sequence b of a batch draws as one alone with seed + b. Default: a new one. */
  seed?: number | undefined;
}

export interface GenerateOptions extends SamplingOptions {
  /** Tokens to make at most. Default 256. */
  maxTokens?: number | undefined;
  /** Text that ends the generation and is left out; with a tokenizer only. */
  stop?: string | readonly string[] | undefined;
  /** Tokens that end it. Default: those of config.json. */
  stopTokens?: readonly number[] | undefined;
  /** Give the log-probability of each token under the model, before sampling options. Default false. */
  logprobs?: boolean | undefined;
  /**
   * Whether a prompt of text gets the tokens that texts begin with. Default: unless it goes on from a state, or is a
   * conversation, whose template writes them.
   */
  addSpecialTokens?: boolean | undefined;
  /**
   * Goes on from this state, of as many sequences as there are prompts, and leaves it after the prompt and all tokens that
   * were given (but for a stop token). By default the text begins anew and its state is dropped.
   */
  state?: MambaState | undefined;
  /** Ends it with ERR_ABORTED before the next token. */
  signal?: AbortSignal | undefined;
}

/** The same, checked and complete. */
export interface Generation extends Required<Omit<GenerateOptions, 'stop' | 'state' | 'signal' | 'addSpecialTokens'>> {
  readonly stop: readonly string[];
  readonly addSpecialTokens: boolean | undefined;
  readonly state: MambaState | undefined;
  readonly signal: AbortSignal | undefined;
}

const known: ReadonlySet<string> = new Set<keyof GenerateOptions>([
  ...(['temperature', 'topK', 'topP', 'minP', 'repetitionPenalty', 'seed', 'maxTokens', 'stop', 'stopTokens'] as const),
  ...(['logprobs', 'addSpecialTokens', 'state', 'signal'] as const),
]);

const mostSeed = Number.MAX_SAFE_INTEGER;

export function readGenerateOptions(options: unknown, config: MambaConfig): Generation {
  const read = readOptions<GenerateOptions>(options ?? {}, known, 'options');
  const whole = (name: keyof GenerateOptions, absent: number, most = mostSeed) =>
    within(name, read[name] ?? absent, 'a whole number', Number.isSafeInteger, 0, most);
  const real = (name: keyof GenerateOptions, absent: number, least: number, most = Number.MAX_VALUE) =>
    within(name, read[name] ?? absent, 'a number', Number.isFinite, least, most);
  const generation: Generation = {
    temperature: real('temperature', 0, 0),
    topK: whole('topK', 0, 2 ** 31 - 1),
    topP: real('topP', 1, Number.MIN_VALUE, 1),
    minP: real('minP', 0, 0, 1),
    repetitionPenalty: real('repetitionPenalty', 1, Number.MIN_VALUE),
    seed: whole('seed', Math.floor(Math.random() * 2 ** 32)),
    maxTokens: whole('maxTokens', 256),
    stop: readStop(read.stop),
    stopTokens: readStopTokens(read.stopTokens, config),
    logprobs: checkFlag('logprobs', read.logprobs),
    addSpecialTokens:
      read.addSpecialTokens === undefined ? undefined : checkFlag('addSpecialTokens', read.addSpecialTokens),
    state: readState(read.state),
    signal: checkSignal(read.signal),
  };
  const unused = (['topK', 'topP', 'minP'] as const).find((name) => read[name] !== undefined);
  if (generation.temperature === 0 && unused !== undefined) {
    throw optionError('temperature', `above 0 with ${unused}, which greedy choice has no use for`, 0);
  }
  return generation;
}

function within(
  name: string,
  value: unknown,
  kind: string,
  isKind: (value: unknown) => boolean,
  least: number,
  most: number,
): number {
  if (isKind(value) && (value as number) >= least && (value as number) <= most) return value as number;
  const from = least === Number.MIN_VALUE ? 'above 0' : `of at least ${least}`;
  const range = most >= mostSeed ? from : `${from} and at most ${most}`;
  throw optionError(name, `${kind} ${range}`, value);
}

function readStop(stop: unknown): readonly string[] {
  const strings: unknown = stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop;
  if (Array.isArray(strings) && strings.every((string) => typeof string === 'string' && string !== '')) {
    return [...strings];
  }
  throw optionError('stop', 'a string or an array of strings, none of them empty,', stop);
}

function readStopTokens(ids: unknown, { eosTokenIds }: MambaConfig): readonly number[] {
  if (ids === undefined) return eosTokenIds;
  if (Array.isArray(ids) && ids.every((id) => Number.isSafeInteger(id))) return [...ids];
  throw optionError('stopTokens', 'an array of token ids', ids);
}

export function readState(state: unknown): MambaState | undefined {
  if (state === undefined || state instanceof MambaState) return state;
  throw optionError('state', 'a state of the model', state);
}

function optionError(name: string, expected: string, value: unknown): SelectiveScanError {
  return new SelectiveScanError('ERR_OPTION', `Expected ${name} to be ${expected} but received ${describe(value)}.`);
}
