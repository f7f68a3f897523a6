import type { Graph } from '../graph.js';
import { sampleSync } from '../ops/sample.js';
import { Tensor } from '../tensor.js';
import type { Backbone } from './backbone.js';
import { checkpointError } from './checkpoint-error.js';
import type { Generation } from './generate-options.js';
import type { MambaState } from './state.js';

/** A step of the CPU that multiplies fewer weights than that takes a millisecond or two, and may block the event loop. */
const fewProducts = 10_000_000;

/** The tokens that were chosen last, one a sequence, and their log-probabilities if they are asked for. */
export interface Chosen {
  readonly tokens: Int32Array;
  readonly logprobs: Float32Array | undefined;
}

/**
 * Makes tokens one by one: a step feeds those chosen last and chooses the next, all on the device. It is captured at the
 * first use and then replayed. Tensors that steps write have to stay where they are, so each decoder has its own.
 */
export class Decoder {
  readonly #backbone: Backbone;
  readonly #state: MambaState;
  readonly #generation: Generation;
  readonly #tokens: Tensor;
  readonly #logprobs: Tensor | undefined;
  /** How often each token stood in each text, for the repetition penalty. */
  readonly #seen: Tensor | undefined;
  /** Two words of a seed and a counter for each sequence. */
  readonly #random: Tensor;
  #step: Graph | undefined;
  #feed: Graph | undefined;

  constructor(backbone: Backbone, state: MambaState, generation: Generation, prompts: readonly Int32Array[]) {
    this.#backbone = backbone;
    this.#state = state;
    this.#generation = generation;
    const batch = prompts.length;
    const { vocabSize } = backbone.config;
    const place = (host: Tensor) => moved(host, backbone.executor.device.name);
    this.#tokens = place(Tensor.from(new Int32Array(batch), [batch]));
    this.#logprobs = generation.logprobs ? place(Tensor.from(new Float32Array(batch), [batch])) : undefined;
    this.#random = place(Tensor.from(randomOf(generation.seed, batch), [batch, 3]));
    const countsTokens = generation.repetitionPenalty !== 1;
    this.#seen = countsTokens ? place(Tensor.from(countsOf(prompts, vocabSize), [batch, vocabSize])) : undefined;
  }

  /** Chooses the first tokens, by the logits of the prompts. */
  begin(logits: Tensor): Promise<void> {
    return this.#backbone.executor.run(() => this.#choose(logits));
  }

  /** Feeds the tokens that were chosen last and chooses the next ones. On a GPU this only enqueues. */
  step(): Promise<void> {
    this.#step ??= this.#capture(() => {
      using logits = this.#backbone.stepSync(this.#tokens, this.#state);
      this.#choose(logits);
    });
    return this.#replay(this.#step);
  }

  /** Feeds the tokens that were chosen last. */
  feed(): Promise<void> {
    this.#feed ??= this.#capture(() => this.#backbone.stepSync(this.#tokens, this.#state).dispose());
    return this.#replay(this.#feed);
  }

  /** The tokens as they are at this point of the queue; later steps may be enqueued before they are there. */
  async read(): Promise<Chosen> {
    const [tokens, logprobs] = await Promise.all([valuesOf(this.#tokens), this.#logprobs && valuesOf(this.#logprobs)]);
    if (tokens.includes(-1)) throw checkpointError('weights that give numbers for logits', 'some that give NaN');
    return { tokens: tokens as Int32Array, logprobs: logprobs as Float32Array | undefined };
  }

  dispose(): void {
    const own = [this.#step, this.#feed, this.#tokens, this.#logprobs, this.#seen, this.#random];
    for (const resource of own) resource?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #choose(logits: Tensor): void {
    const { temperature, topK, topP, minP, repetitionPenalty, logprobs: returnLogprobs } = this.#generation;
    const { tokens, logprobs } = sampleSync({
      ...{ logits, temperature, topK, topP, minP, repetitionPenalty, returnLogprobs },
      seen: this.#seen,
      random: this.#random,
    });
    this.#tokens.copyFromSync(tokens);
    if (logprobs) this.#logprobs?.copyFromSync(logprobs);
    tokens.dispose();
    logprobs?.dispose();
  }

  #capture(calls: () => void): Graph {
    return this.#backbone.executor.device.capture(calls);
  }

  #replay(graph: Graph): Promise<void> {
    const { executor, weightElements } = this.#backbone;
    return executor.replay(graph, weightElements * this.#state.batch <= fewProducts);
  }
}

/** A CPU's values are there already, and reading them through the queue would take longer than a small model's step. */
async function valuesOf(tensor: Tensor): Promise<Int32Array | Float32Array> {
  return tensor.device === 'cpu' ? (tensor.data.slice() as Int32Array | Float32Array) : tensor.toArray();
}

function moved(host: Tensor, device: string): Tensor {
  if (device === 'cpu') return host;
  const tensor = host.toSync(device);
  host.dispose();
  return tensor;
}

/** Sequence b has the seed + b. */
function randomOf(seed: number, batch: number): Int32Array {
  return Int32Array.from({ length: 3 * batch }, (_, i) => {
    const own = seed + Math.floor(i / 3);
    return [own % 2 ** 32, Math.floor(own / 2 ** 32), 0][i % 3] as number;
  });
}

function countsOf(prompts: readonly Int32Array[], vocabSize: number): Int32Array {
  const counts = new Int32Array(prompts.length * vocabSize);
  for (const [row, ids] of prompts.entries()) for (const id of ids) (counts[row * vocabSize + id] as number)++;
  return counts;
}
