import { embeddingSync } from '../ops/embedding.js';
import { logSoftmaxSync } from '../ops/log-softmax.js';
import type { Tensor } from '../tensor.js';
import type { Backbone } from './backbone.js';
import { pack } from './chunks.js';
import { Scratch } from './scratch.js';
import type { MambaState } from './state.js';

/** How likely a model finds a text. */
export interface Score {
  /** The text's tokens. */
  readonly tokens: Int32Array;
  /** logprobs[i] is the natural logarithm of the probability of tokens[i + 1] after those before it: one less than tokens. */
  readonly logprobs: Float32Array;
}

/** Values of the logits that are held at a time. */
const mostLogits = 4 * 1024 * 1024;
const mostTokens = 512;

/** Reads tokens into a state, and says how likely each was but the first. */
export async function scoreTokens(
  backbone: Backbone,
  tokens: Int32Array,
  state: MambaState,
  signal: AbortSignal | undefined,
): Promise<Score> {
  const { vocabSize } = backbone.config;
  const count = Math.max(0, tokens.length - 1);
  const logprobs = new Float32Array(count);
  const perChunk = Math.max(1, Math.min(mostTokens, Math.floor(mostLogits / vocabSize)));
  for (let start = 0; start < count; start += perChunk) {
    const end = Math.min(start + perChunk, count);
    const chunk = pack([tokens.subarray(start, end)]);
    const logits = (await backbone.read(chunk, state, { logits: 'all', signal })) as Tensor;
    const likely = await backbone.executor.run(() => likelihoods(logits, tokens.subarray(start + 1, end + 1)));
    logprobs.set((await likely.toArray()) as Float32Array, start);
    logits.dispose();
    likely.dispose();
  }
  return { tokens, logprobs };
}

/** Of each row of logits, [tokens, vocab], the log-probability of one token, picked on the device: [tokens, 1]. */
function likelihoods(logits: Tensor, targets: Int32Array): Tensor {
  using scratch = new Scratch();
  const vocabSize = logits.dims[1] as number;
  const all = scratch.own(logSoftmaxSync({ x: logits }).out);
  const weight = scratch.own(all.reshape([all.size, 1]));
  return embeddingSync({ ids: targets.map((id, row) => row * vocabSize + id), weight }).out;
}

/** exp of the mean negative log-likelihood of a token. */
export function perplexityOf({ logprobs }: Score): number {
  return Math.exp(-logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length);
}
