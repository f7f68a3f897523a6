import { embeddingSync } from '../ops/embedding.js';
import { linearSync } from '../ops/linear.js';
import { type RmsNormResult, rmsNormSync } from '../ops/rms-norm.js';
import { throwIfAborted } from '../signal.js';
import { Tensor } from '../tensor.js';
import { type BlockSettings, block, type Hidden } from './block.js';
import type { Pack } from './chunks.js';
import type { MambaConfig } from './config.js';
import { Executor } from './executor.js';
import type { FloatDType } from './float-conversion.js';
import { stepLayer } from './layer-step.js';
import { type ModelWeights, tensorsOf } from './model-weights.js';
import { throughPrompts } from './recurrence.js';
import { Scratch } from './scratch.js';
import type { LayerState, MambaState } from './state.js';

/** What a pass over prompts gives besides the state. */
export interface PassOptions {
  /** Logits after each sequence's last token, or after every token. */
  readonly logits: 'last' | 'all' | 'none';
  /** Takes the output of each layer, [1, tokens, hidden] in float32, and at last the final norm's. */
  readonly onHidden?: ((hidden: Tensor) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A model's weights on a device, and the two ways through its layers: of whole prompts, and of one token. */
export class Backbone {
  readonly config: MambaConfig;
  readonly weights: ModelWeights;
  readonly executor: Executor;
  /** Of what flows between ops, and of the convolution's state. */
  readonly dtype: FloatDType;
  readonly #settings: BlockSettings;
  readonly #tensors: ReadonlySet<Tensor>;

  constructor(config: MambaConfig, weights: ModelWeights, device: string, dtype: FloatDType) {
    this.config = config;
    this.weights = weights;
    this.executor = new Executor(device);
    this.dtype = dtype;
    const { mixerRmsEps: eps, timeStepRank, stateSize, layerNormEpsilon: normEps } = config;
    const mixerNorm =
      eps === undefined ? undefined : { eps, rank: ones(timeStepRank, device), states: ones(stateSize, device) };
    this.#settings = { normEps, mixerNorm };
    const norms = mixerNorm ? [mixerNorm.rank, mixerNorm.states] : [];
    this.#tensors = new Set([...tensorsOf(weights), ...norms]);
  }

  /** All weights, each of which a step reads once, but for the embeddings of an untied model. */
  get weightElements(): number {
    return Array.from(this.#tensors, ({ size }) => size).reduce((sum, size) => sum + size, 0);
  }

  /** Reads a pack of tokens into the state; returns logits, [batch, vocab] or [tokens, vocab] in float32. */
  async read({ ids, cuSeqlens }: Pack, state: MambaState, options: PassOptions): Promise<Tensor | undefined> {
    const { executor, weights } = this;
    const recurrence = throughPrompts(state.batch > 1 ? cuSeqlens : undefined);
    using tokens = Tensor.from(ids, [1, ids.length]);
    let hidden: Hidden = { x: await executor.run(() => this.#embed(tokens)), residual: undefined };
    try {
      for (const [i, layer] of weights.layers.entries()) {
        throwIfAborted(options.signal);
        const layerState = state.layers[i] as LayerState;
        const before = hidden;
        hidden = await executor.run(() => block(layer, layerState, before, recurrence, this.#settings));
        before.x.dispose();
        before.residual?.dispose();
        // A layer's output is summed up by the norm of the next.
        if (i > 0) options.onHidden?.((hidden.residual as Tensor).reshape([1, ids.length, this.config.hiddenSize]));
      }
      if (options.logits === 'none') return undefined;
      const rows = options.logits === 'all' ? undefined : cuSeqlens.subarray(1).map((end) => end - 1);
      return await executor.run(() => this.#logitsOf(hidden, rows, options.onHidden));
    } finally {
      hidden.x.dispose();
      hidden.residual?.dispose();
    }
  }

  /** One token of each sequence, [batch] int32 on the device, as blocking calls; returns logits, [batch, vocab]. */
  stepSync(tokens: Tensor, state: MambaState): Tensor {
    using scratch = new Scratch();
    let hidden: Hidden = { x: scratch.own(this.#embed(tokens)), residual: undefined };
    for (const [i, layer] of this.weights.layers.entries()) {
      hidden = stepLayer(layer, state.layers[i] as LayerState, hidden, this.#settings);
      scratch.ownAll([hidden.x, hidden.residual as Tensor]);
    }
    return this.#head(hidden);
  }

  dispose(): void {
    for (const tensor of this.#tensors) tensor.dispose();
  }

  #embed(tokens: Tensor): Tensor {
    return embeddingSync({ ids: tokens, weight: this.weights.embeddings, dtype: this.dtype }).out;
  }

  /** Logits of these rows of [1, tokens, hidden], or of all. */
  #logitsOf({ x, residual }: Hidden, rows: Int32Array | undefined, onHidden: PassOptions['onHidden']): Tensor {
    using scratch = new Scratch();
    const pick = (tensor: Tensor): Tensor => {
      const { hiddenSize } = this.config;
      const all = scratch.own(tensor.reshape([tensor.size / hiddenSize, hiddenSize]));
      return rows ? scratch.own(embeddingSync({ ids: rows, weight: all }).out) : all;
    };
    if (onHidden === undefined) return this.#head({ x: pick(x), residual: residual && pick(residual) });
    const normed = this.#norm({ x, residual }, true);
    onHidden(normed.residual as Tensor);
    onHidden(normed.out);
    return this.#project(pick(normed.out));
  }

  #head(hidden: Hidden): Tensor {
    const { out } = this.#norm(hidden, false);
    try {
      return this.#project(out);
    } finally {
      out.dispose();
    }
  }

  #norm({ x, residual }: Hidden, returnResidual: boolean): RmsNormResult {
    const { layerNormEpsilon: eps } = this.config;
    return rmsNormSync({ x, residual, weight: this.weights.finalNorm, eps, returnResidual });
  }

  #project(x: Tensor): Tensor {
    return linearSync({ x, weight: this.weights.head, dtype: 'float32' }).out;
  }
}

function ones(size: number, device: string): Tensor {
  using host = Tensor.from(new Float32Array(size).fill(1), [size]);
  return host.toSync(device);
}
