import { SelectiveScanError } from '../errors.js';
import { Tensor } from '../tensor.js';
import type { MambaConfig } from './config.js';
import type { FloatDType } from './float-conversion.js';

/** What one layer remembers of the tokens so far. */
export interface LayerState {
  /** The last inputs of the convolution, [batch, channels, width - 1], of the activations' dtype. */
  readonly conv: Tensor;
  /** The scan's state, [batch, channels, states], float32. */
  readonly scan: Tensor;
}

/** The model that a state is of. */
export interface StateOwner {
  saveState(state: MambaState): Promise<Uint8Array>;
}

/** States are made by a model; only this module can call the constructor. */
const key = Symbol('MambaState');

/**
 * What a model remembers of the sequences of a batch: all that there is, whatever their length. Calls that read tokens
 * update it in place. To fork a text, clone() its state; to rewind it, copyFrom() an earlier clone; to go on another day,
 * save() it to bytes, which model.restoreState() takes.
 */
export class MambaState {
  /** Sequences. */
  readonly batch: number;
  /** Layer by layer, the first first. */
  readonly layers: readonly LayerState[];
  /** @internal */
  readonly owner: StateOwner;
  #isBusy = false;
  #isDisposed = false;

  /** @internal */
  constructor(secret: symbol, batch: number, layers: readonly LayerState[], owner: StateOwner) {
    if (secret !== key) throw new TypeError('States are made by newState() and restoreState() of a model.');
    this.batch = batch;
    this.layers = layers;
    this.owner = owner;
  }

  /** A copy that goes its own way. */
  clone(): MambaState {
    this.#check();
    const layers = this.layers.map(({ conv, scan }) => ({ conv: copyOf(conv), scan: copyOf(scan) }));
    return new MambaState(key, this.batch, layers, this.owner);
  }

  /** Makes this state what another of the same batch and model is. */
  copyFrom(other: MambaState): void {
    this.#check();
    other.#check();
    if (other.owner !== this.owner || other.batch !== this.batch) {
      throw new SelectiveScanError(
        'ERR_SHAPE',
        `Expected another state of the same model and a batch of ${this.batch} but received one of ${other.batch}.`,
      );
    }
    for (const [i, { conv, scan }] of this.layers.entries()) {
      const source = other.layers[i] as LayerState;
      conv.copyFromSync(source.conv);
      scan.copyFromSync(source.scan);
    }
  }

  /**
   * The state as bytes, which hold its sizes, its values in float32, a mark of the model that it is of, and a checksum.
   * They are read by restoreState() of a model of the same weights, in whichever dtype and on whichever device it is.
   */
  save(): Promise<Uint8Array> {
    return this.use(() => this.owner.saveState(this));
  }

  get disposed(): boolean {
    return this.#isDisposed;
  }

  /** Frees the memory. Later uses throw ERR_DISPOSED; disposing again does nothing. */
  dispose(): void {
    this.#isDisposed = true;
    for (const { conv, scan } of this.layers) {
      conv.dispose();
      scan.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal Keeps others from the state while something asynchronous reads or writes it. */
  async use<T>(act: () => Promise<T>): Promise<T> {
    const release = this.take();
    try {
      return await act();
    } finally {
      release();
    }
  }

  /** @internal The same for what ends at a time of its own: returns what gives the state back. */
  take(): () => void {
    this.#check();
    this.#isBusy = true;
    return () => {
      this.#isBusy = false;
    };
  }

  #check(): void {
    if (this.#isDisposed) {
      throw new SelectiveScanError('ERR_DISPOSED', 'Expected state to be live but it has been disposed.');
    }
    if (!this.#isBusy) return;
    throw new SelectiveScanError(
      'ERR_OPTION',
      'Expected state to be used by one call at a time but another that uses it has not settled.',
    );
  }
}

function copyOf(tensor: Tensor): Tensor {
  return tensor.toSync(tensor.device);
}

/** Sizes of a layer's tensors. */
export function layerDims(config: MambaConfig, batch: number): { conv: number[]; scan: number[] } {
  const { intermediateSize, convKernel, stateSize } = config;
  return { conv: [batch, intermediateSize, convKernel - 1], scan: [batch, intermediateSize, stateSize] };
}

/** The state before any token, all zeros, on a device that is ready. */
export function makeZeroState(
  config: MambaConfig,
  batch: number,
  device: string,
  dtype: FloatDType,
  owner: StateOwner,
): MambaState {
  const dims = layerDims(config, batch);
  using conv = zeros(dims.conv, device, dtype);
  using scan = zeros(dims.scan, device, 'float32');
  const layers = Array.from({ length: config.numHiddenLayers }, () => ({ conv: copyOf(conv), scan: copyOf(scan) }));
  return new MambaState(key, batch, layers, owner);
}

function zeros(dims: readonly number[], device: string, dtype: FloatDType): Tensor {
  const size = dims.reduce((product, axis) => product * axis, 1);
  using host = Tensor.from(new Float32Array(size), dims, dtype);
  return host.toSync(device);
}
