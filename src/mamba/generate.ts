import { throwIfAborted } from '../signal.js';
import { nextTurn } from '../staging.js';
import type { Backbone } from './backbone.js';
import { Decoder } from './decoder.js';
import type { Generation } from './generate-options.js';
import { readPrompts } from './reading.js';
import type { MambaState } from './state.js';
import { StopStrings } from './stop-strings.js';
import { type Decoding, TextStream } from './text-stream.js';

/** Why a text ends: a stop token, a stop string, or as many tokens as were asked for. */
export type FinishReason = 'stop-token' | 'stop-string' | 'max-tokens';

/** One token that was made. */
export interface GeneratedToken {
  readonly token: number;
  /** The text that is certain with this token: none yet, where it holds a part of a character or may begin a stop string. */
  readonly text: string;
  /** With `logprobs`: its log-probability under the model. */
  readonly logprob?: number;
  /** With the last token. */
  readonly finish?: FinishReason;
}

/** The same of one sequence of a batch. */
export interface BatchToken extends GeneratedToken {
  /** Which prompt it continues. */
  readonly index: number;
}

/** Continues prompts, all at once, with the tokens of each step in the order of the prompts. */
export async function* generateTokens(
  backbone: Backbone,
  state: MambaState,
  prompts: readonly Int32Array[],
  generation: Generation,
  decoding: Decoding | undefined,
): AsyncGenerator<BatchToken, void, undefined> {
  using decoder = new Decoder(backbone, state, generation, prompts);
  const rows = prompts.map(() => new Row(generation, decoding));
  const logits = await readPrompts(backbone, prompts, state, generation.signal);
  if (generation.maxTokens === 0) return logits.dispose();
  await decoder.begin(logits).finally(() => logits.dispose());

  // On a GPU the next step is enqueued before this one's tokens are known, so that it never waits for the host. It would
  // take a caller's state too far where the tokens turn out to be the last.
  const looksAhead = !backbone.executor.isCpu && generation.state === undefined;
  const read = () => {
    const chosen = decoder.read();
    chosen.catch(() => undefined); // it is awaited in a later turn, if there is one
    return chosen;
  };
  // Whether the state has all tokens that were given.
  let isFed = true;
  try {
    let chosen = read();
    for (let made = 1; ; made++) {
      throwIfAborted(generation.signal);
      const isLast = made === generation.maxTokens;
      let next = chosen;
      // The first token does not wait until the step is recorded.
      const isAhead = looksAhead && made > 1;
      if (isAhead && !isLast) {
        await decoder.step();
        next = read();
      }
      const { tokens, logprobs } = await chosen;
      for (const [index, row] of rows.entries()) {
        if (row.isDone) continue;
        const taken = row.take(tokens[index] as number, isLast);
        isFed = taken.finish === 'stop-token';
        yield { index, ...taken, ...(logprobs && { logprob: logprobs[index] as number }) };
      }
      if (rows.every(({ isDone }) => isDone)) return;
      if (!isAhead) {
        await decoder.step();
        isFed = true;
        next = read();
        await nextTurn();
      }
      chosen = next;
    }
  } finally {
    if (generation.state !== undefined && !isFed) await decoder.feed();
  }
}

/** One sequence's text as it comes, and whether it has ended. */
class Row {
  isDone = false;
  readonly #stopTokens: readonly number[];
  readonly #text: TextStream | undefined;
  readonly #stop: StopStrings;

  constructor({ stopTokens, stop }: Generation, decoding: Decoding | undefined) {
    this.#stopTokens = stopTokens;
    this.#text = decoding && new TextStream(decoding);
    this.#stop = new StopStrings(stop);
  }

  take(token: number, isLast: boolean): GeneratedToken {
    const isStopToken = this.#stopTokens.includes(token);
    let text = isStopToken ? '' : this.#stop.push(this.#text?.push(token) ?? '');
    if ((isStopToken || isLast) && !this.#stop.isFound) text += this.#stop.push(this.#text?.end() ?? '');
    if ((isStopToken || isLast) && !this.#stop.isFound) text += this.#stop.end();
    const finish = isStopToken ? 'stop-token' : this.#stop.isFound ? 'stop-string' : isLast ? 'max-tokens' : undefined;
    this.isDone = finish !== undefined;
    return { token, text, ...(finish && { finish }) };
  }
}
