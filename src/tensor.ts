import { type Axis, checkSize, describe, guarded, lengthError, sizeOf } from './check.js';
import { type Device, readyDevice, resolveDevice } from './device.js';
import { bytesOf, type DType, fromBFloat16, fromFloat16, isDType, toBFloat16, toFloat16 } from './dtype.js';
import { SelectiveScanError } from './errors.js';
import { type HostArray, type HostView, newRawArray, rawView, viewHostArray } from './host-array.js';
import { awaitNative, callNative, type NativeMemory } from './native.js';
import { readSignal, throwIfAborted, untilAborted, type WaitOptions } from './signal.js';
import { nextTurn } from './staging.js';

/** Tensors are made by Tensor.from and by ops; only this module can call the constructor. */
const key = Symbol('Tensor');

/** Releases the memory of tensors that nobody holds any more. */
const forgotten = new FinalizationRegistry<NativeMemory>((memory) => callNative((native) => native.release(memory)));

/** What a typed array may be read as; the first is meant where no dtype is given. */
const dtypesOf: Readonly<Record<HostView['kind'], readonly DType[]>> = {
  Float32Array: ['float32', 'float16', 'bfloat16', 'complex64'],
  Float16Array: ['float16'],
  Uint16Array: ['float16', 'bfloat16'],
  Int32Array: ['int32'],
};

/** Whether a value is a Tensor of this module. */
export let isTensor: (value: unknown) => value is Tensor;
/** A tensor's memory; ERR_DISPOSED where it has none any more. */
export let memoryOf: (tensor: Tensor, name?: string) => NativeMemory;
export let deviceOf: (tensor: Tensor) => Device;

/**
 * An array of numbers in one device's memory, contiguous, last axis fastest.
 *
 * Its memory is freed by dispose() (or `using`); a finalizer frees what was forgotten. Work in flight keeps the memory it
 * uses, so a tensor may be disposed as soon as the call that reads it has been made.
 */
export class Tensor {
  readonly #dims: readonly number[];
  readonly #dtype: DType;
  readonly #device: Device;
  #memory: NativeMemory | undefined;
  #data: Float32Array | Uint16Array | Int32Array | undefined;

  /** @internal */
  constructor(secret: symbol, memory: NativeMemory, dims: readonly number[], dtype: DType, device: Device) {
    if (secret !== key) throw new TypeError('Tensors are made by Tensor.from and by ops.');
    this.#memory = memory;
    this.#dims = Object.freeze([...dims]);
    this.#dtype = dtype;
    this.#device = device;
    forgotten.register(this, memory, this);
  }

  /**
   * Copies a typed array into a new tensor on the CPU.
   *
   * The dtype defaults to the array's own: Float32Array float32, Float16Array float16, Int32Array int32. A Uint16Array
   * holds the raw bits of 'float16' or 'bfloat16', which must be said. A Float32Array with one of those is rounded, to
   * nearest even; with 'complex64' it holds interleaved pairs (real, imaginary), and dims count complex numbers.
   * Throws ERR_DTYPE, or ERR_SHAPE where the length is not the product of dims.
   */
  static from(data: HostArray, dims: readonly number[], dtype?: DType): Tensor {
    // Before the array is looked at: reading dims may run code of the caller's, which may take the array's memory.
    const shape = checkDims(dims);
    const view = viewHostArray(data);
    if (view === undefined) {
      throw new SelectiveScanError(
        'ERR_DTYPE',
        `Expected data to be a Float32Array, Float16Array, Uint16Array or Int32Array but received ${describe(data)}.`,
      );
    }
    const type = checkDType(view.kind, dtype);
    const axes: Axis[] = shape.map((size, i) => [`dims[${i}]`, size]);
    if (type === 'complex64') axes.push(['2', 2]);
    if (sizeOf(axes) !== view.length) throw lengthError('data', axes, view.length);

    const tensor = allocateTensor(resolveDevice('cpu'), shape, type);
    const raw = view.kind === 'Float32Array' && bytesOf[type] === 2 ? rounded(view, type) : view.raw;
    callNative((native) => native.write(memoryOf(tensor), 0, raw));
    return tensor;
  }

  /** Sizes of the axes. */
  get dims(): readonly number[] {
    return this.#dims;
  }

  get dtype(): DType {
    return this.#dtype;
  }

  /** Where the memory is: 'cpu', 'cuda:0', ... */
  get device(): string {
    return this.#device.name;
  }

  /** Number of elements. */
  get size(): number {
    return this.#dims.reduce((product, size) => product * size, 1);
  }

  get disposed(): boolean {
    return this.#memory === undefined;
  }

  /**
   * A CPU tensor's memory itself, not a copy: raw bits (Uint16Array) of 16-bit dtypes, interleaved pairs of complex64.
   * It stays valid after dispose(). ERR_DEVICE on a GPU, where toArray() copies.
   */
  get data(): Float32Array | Uint16Array | Int32Array {
    const memory = memoryOf(this);
    if (this.#device.index >= 0) {
      throw new SelectiveScanError('ERR_DEVICE', `Expected a tensor on cpu but received one on ${this.device}.`);
    }
    if (this.#data === undefined) {
      const buffer = callNative((native) => native.view(memory));
      if (this.#dtype === 'int32') this.#data = new Int32Array(buffer);
      else this.#data = bytesOf[this.#dtype] === 2 ? new Uint16Array(buffer) : new Float32Array(buffer);
    }
    return this.#data;
  }

  /** A copy on the given device, also where the tensor is there already. */
  async to(device: string, options?: WaitOptions): Promise<Tensor> {
    const signal = readSignal(options);
    let copy: Promise<Tensor> | undefined;
    const begin = () => {
      copy = this.#copyTo(device);
      return copy;
    };
    try {
      return await untilAborted(signal, begin);
    } catch (error) {
      copy?.then(
        (tensor) => tensor.dispose(),
        () => {},
      );
      throw error;
    }
  }

  async #copyTo(device: string): Promise<Tensor> {
    const source = memoryOf(this);
    const target = readyDevice(checkName(device));
    if (target instanceof Promise) {
      // What is copied are the values of now, whatever becomes of this tensor until the device is ready.
      const [held] = await Promise.all([this.#copyTo(this.device), target]);
      return held.#copyTo(device).finally(() => held.dispose());
    }
    const copy = allocateTensor(target, this.#dims, this.#dtype);
    try {
      await awaitNative((native) => native.copy(source, memoryOf(copy)));
      return copy;
    } catch (error) {
      copy.dispose();
      throw error;
    }
  }

  /** The same, and returns when it is done; between tensors of one GPU it only enqueues the copy. */
  toSync(device: string): Tensor {
    const source = memoryOf(this);
    const copy = allocateTensor(resolveDevice(checkName(device)), this.#dims, this.#dtype);
    try {
      callNative((native) => native.copySync(source, memoryOf(copy)));
      return copy;
    } catch (error) {
      copy.dispose();
      throw error;
    }
  }

  /**
   * The values, after all work that the tensor waits for: 16-bit floats widened to Float32Array (exactly), complex64 as
   * interleaved pairs.
   */
  async toArray(options?: WaitOptions): Promise<Float32Array | Int32Array> {
    const signal = readSignal(options);
    const memory = memoryOf(this);
    const raw = newRawArray(this.#dtype, this.size);
    await untilAborted(signal, () => awaitNative((native) => native.read(memory, rawView(raw))));
    if (!(raw instanceof Uint16Array)) return raw;
    const values = new Float32Array(raw.length);
    const perTurn = 256 * 1024;
    for (let start = 0; start < raw.length; start += perTurn) {
      if (start > 0) await nextTurn();
      throwIfAborted(signal);
      widen(raw, values, this.#dtype, start, Math.min(start + perTurn, raw.length));
    }
    return values;
  }

  /** The same, blocking until the values are there. */
  toArraySync(): Float32Array | Int32Array {
    const memory = memoryOf(this);
    const raw = newRawArray(this.#dtype, this.size);
    callNative((native) => native.readSync(memory, rawView(raw)));
    if (!(raw instanceof Uint16Array)) return raw;
    const values = new Float32Array(raw.length);
    widen(raw, values, this.#dtype, 0, raw.length);
    return values;
  }

  /** Frees the memory. Later uses throw ERR_DISPOSED; disposing again does nothing. */
  dispose(): void {
    const memory = this.#memory;
    this.#memory = undefined;
    this.#data = undefined;
    if (memory === undefined) return;
    forgotten.unregister(this);
    callNative((native) => native.release(memory));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  // For the rest of the package: what a tensor does not show its users.
  static {
    isTensor = (value): value is Tensor => typeof value === 'object' && value !== null && #memory in value;
    memoryOf = (tensor, name = 'the tensor') => {
      if (tensor.#memory !== undefined) return tensor.#memory;
      throw new SelectiveScanError('ERR_DISPOSED', `Expected ${name} to be a live tensor but it has been disposed.`);
    };
    deviceOf = (tensor) => tensor.#device;
  }
}

/** A tensor of undefined contents, for an op to write. */
export function allocateTensor(device: Device, dims: readonly number[], dtype: DType): Tensor {
  const size = dims.reduce((product, axis) => product * axis, 1);
  const memory = callNative((native) => native.allocate(device.index, size * bytesOf[dtype]));
  return new Tensor(key, memory, dims, dtype, device);
}

function checkDType(kind: HostView['kind'], dtype: unknown): DType {
  const allowed = dtypesOf[kind];
  if (dtype === undefined && kind !== 'Uint16Array') return allowed[0] as DType;
  if (isDType(dtype) && allowed.includes(dtype)) return dtype;
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected dtype of a ${kind} to be ${allowed.join(' or ')} but received ${describe(dtype)}.`,
  );
}

/** Sizes copied one by one, since an array's iterator is whatever the caller made it. */
function checkDims(dims: unknown): number[] {
  return guarded('dims', 'ERR_SHAPE', () => {
    if (!Array.isArray(dims)) {
      throw new SelectiveScanError(
        'ERR_SHAPE',
        `Expected dims to be an array of sizes but received ${describe(dims)}.`,
      );
    }
    const sizes: number[] = [];
    for (let i = 0; i < dims.length; i++) sizes.push(checkSize(`dims[${i}]`, dims[i], 0));
    return sizes;
  });
}

function checkName(device: unknown): string {
  if (typeof device === 'string') return device;
  throw new SelectiveScanError('ERR_DEVICE', `Expected device to be a string but received ${describe(device)}.`);
}

function rounded({ raw, length }: HostView, dtype: DType): Uint16Array {
  const values = new Float32Array(raw.buffer, raw.byteOffset, length);
  const bits = new Uint16Array(length);
  const round = dtype === 'bfloat16' ? toBFloat16 : toFloat16;
  for (let i = 0; i < length; i++) bits[i] = round(values[i] as number);
  return bits;
}

function widen(bits: Uint16Array, values: Float32Array, dtype: DType, start: number, end: number): void {
  const value = dtype === 'bfloat16' ? fromBFloat16 : fromFloat16;
  for (let i = start; i < end; i++) values[i] = value(bits[i] as number);
}
