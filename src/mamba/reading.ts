import type { Tensor } from '../tensor.js';
import type { Backbone } from './backbone.js';
import { chunksOf } from './chunks.js';
import type { MambaState } from './state.js';

/** Tokens that pass through the layers together: few enough for a cache on the CPU, many enough to fill a GPU. */
const tokensAtATime = { cpu: 512, gpu: 8192 };

/** Reads prompts of any length in constant memory; returns logits after the last token of each, [batch, vocab]. */
export async function readPrompts(
  backbone: Backbone,
  prompts: readonly Int32Array[],
  state: MambaState,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  const { cpu, gpu } = tokensAtATime;
  let logits: Tensor | undefined;
  for (const chunk of chunksOf(prompts, backbone.executor.isCpu ? cpu : gpu)) {
    logits = await backbone.read(chunk, state, { logits: chunk.isLast ? 'last' : 'none', signal });
  }
  return logits as Tensor;
}
