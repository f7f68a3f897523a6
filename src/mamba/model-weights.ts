import { throwIfAborted } from '../signal.js';
import { Tensor } from '../tensor.js';
import type { MambaConfig } from './config.js';
import type { FloatDType } from './float-conversion.js';
import type { LoadOptions } from './load-options.js';
import { head } from './weights.js';

/** Where a model's weights come from, by the names of weightShapes(). */
export interface WeightSource {
  readonly config: MambaConfig;
  tensor(name: string, options: LoadOptions): Promise<Tensor>;
}

/** A matrix [out, in], and a bias [out] in float32 if the model has one. */
export interface Projection {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
}

/** Weights of one layer. Matrices are of the model's dtype, all else is float32. */
export interface LayerWeights {
  /** [hidden]. */
  readonly norm: Tensor;
  /** To u and the gate z, [2 * channels, hidden]. */
  readonly inProj: Projection;
  /** [channels, width]. */
  readonly conv: Projection;
  /** To delta's low rank, B and C, [rank + 2 * states, channels]. */
  readonly xProj: Tensor;
  /** From the low rank to delta, [channels, rank]. */
  readonly dtProj: Tensor;
  /** Added to delta by the scan, [channels]. */
  readonly deltaBias: Tensor;
  /** [channels, states], negative. */
  readonly A: Tensor;
  /** [channels]. */
  readonly D: Tensor;
  readonly outProj: Projection;
}

export interface ModelWeights {
  /** [vocab, hidden]. */
  readonly embeddings: Tensor;
  readonly layers: readonly LayerWeights[];
  /** [hidden]. */
  readonly finalNorm: Tensor;
  /** [vocab, hidden]; of a tied model the embeddings themselves. */
  readonly head: Tensor;
}

/** Where weights go, and what to make of them. */
export interface Placement {
  readonly device: string;
  /** Of the matrices. */
  readonly dtype: FloatDType;
  readonly signal: AbortSignal | undefined;
  /** Hears of the bytes of a source that were read, tensor by tensor. */
  readonly onRead: (bytes: number) => void;
}

/** Loads all weights. Where that fails, those that were loaded are disposed of. */
export async function loadWeights(source: WeightSource, placement: Placement): Promise<ModelWeights> {
  const loader = new Loader(source, placement);
  try {
    const embeddings = await loader.matrix('embeddings.weight');
    const layers: LayerWeights[] = [];
    for (let layer = 0; layer < source.config.numHiddenLayers; layer++) layers.push(await loadLayer(loader, layer));
    const finalNorm = await loader.vector('norm_f.weight');
    return { embeddings, layers, finalNorm, head: (await loader.matrixIfAny(head)) ?? embeddings };
  } catch (error) {
    loader.disposeAll();
    throw error;
  }
}

async function loadLayer(loader: Loader, layer: number): Promise<LayerWeights> {
  const at = (name: string) => `layers.${layer}.${name}`;
  const { useBias, useConvBias } = loader.config;
  return {
    norm: await loader.vector(at('norm.weight')),
    inProj: {
      weight: await loader.matrix(at('mixer.in_proj.weight')),
      bias: useBias ? await loader.vector(at('mixer.in_proj.bias')) : undefined,
    },
    conv: {
      weight: await loader.vector(at('mixer.conv1d.weight'), ([channels, , width]) => [channels, width]),
      bias: useConvBias ? await loader.vector(at('mixer.conv1d.bias')) : undefined,
    },
    xProj: await loader.matrix(at('mixer.x_proj.weight')),
    dtProj: await loader.matrix(at('mixer.dt_proj.weight')),
    deltaBias: await loader.vector(at('mixer.dt_proj.bias')),
    A: await loader.negativeExponential(at('mixer.A_log')),
    D: await loader.vector(at('mixer.D')),
    outProj: {
      weight: await loader.matrix(at('mixer.out_proj.weight')),
      bias: useBias ? await loader.vector(at('mixer.out_proj.bias')) : undefined,
    },
  };
}

class Loader {
  readonly config: MambaConfig;
  readonly #source: WeightSource;
  readonly #placement: Placement;
  readonly #loaded: Tensor[] = [];

  constructor(source: WeightSource, placement: Placement) {
    this.config = source.config;
    this.#source = source;
    this.#placement = placement;
  }

  matrix(name: string): Promise<Tensor> {
    return this.#load(name, this.#placement.dtype);
  }

  async matrixIfAny(name: string): Promise<Tensor | undefined> {
    return this.config.tieWordEmbeddings ? undefined : this.matrix(name);
  }

  /** In float32, with other dims if they are given. */
  async vector(name: string, reshape?: (dims: readonly number[]) => (number | undefined)[]): Promise<Tensor> {
    if (reshape === undefined) return this.#load(name, 'float32');
    using tensor = await this.#read(name, 'float32', this.#placement.device);
    const reshaped = tensor.reshape(reshape(tensor.dims) as number[]);
    this.#loaded.push(reshaped);
    return reshaped;
  }

  /** -exp of a tensor, in float32: once, at the load, as the training's code does at every step. */
  async negativeExponential(name: string): Promise<Tensor> {
    using logarithm = await this.#read(name, 'float32', 'cpu');
    using values = Tensor.from(
      (logarithm.data as Float32Array).map((value) => -Math.exp(value)),
      logarithm.dims,
    );
    const placed = await values.to(this.#placement.device);
    this.#loaded.push(placed);
    return placed;
  }

  disposeAll(): void {
    for (const tensor of this.#loaded) tensor.dispose();
  }

  async #load(name: string, dtype: FloatDType): Promise<Tensor> {
    const tensor = await this.#read(name, dtype, this.#placement.device);
    this.#loaded.push(tensor);
    return tensor;
  }

  async #read(name: string, dtype: FloatDType, device: string): Promise<Tensor> {
    const { signal, onRead } = this.#placement;
    throwIfAborted(signal);
    let before = 0;
    const onProgress = ({ done }: { done: number }) => {
      onRead(done - before);
      before = done;
    };
    return this.#source.tensor(name, { dtype, device, signal, onProgress });
  }
}

/** All tensors of a model, each once. */
export function tensorsOf({ embeddings, layers, finalNorm, head: output }: ModelWeights): Set<Tensor> {
  const tensors = new Set([embeddings, finalNorm, output]);
  for (const { inProj, conv, outProj, ...single } of layers) {
    for (const tensor of Object.values(single)) tensors.add(tensor);
    for (const { weight, bias } of [inProj, conv, outProj]) {
      tensors.add(weight);
      if (bias) tensors.add(bias);
    }
  }
  return tensors;
}
