import { refuseElsewhere, refuseInCapture } from './capturing.js';
import { type Axis, describe, lengthError, readOptions, shapeError, sizeOf } from './check.js';
import { type Device, readyDevice, resolveDevice } from './device.js';
import { bytesOf, type DType } from './dtype.js';
import { SelectiveScanError } from './errors.js';
import { type HostArray, newRawArray, rawView } from './host-array.js';
import { awaitNative, callNative, type NativeMemory } from './native.js';
import { checkSignal, throwIfAborted, untilAborted, type WaitOptions } from './signal.js';
import { nextTurn, releaseAll, stage } from './staging.js';
import { checkStreamDevice, readStream, type Stream } from './stream.js';
import { checkDims, checkDType, rawData, readData, widen } from './tensor-data.js';

/** Tensors are made by Tensor.from and by ops; only this module can call the constructor. */
const key = Symbol('Tensor');

/** Releases the memory of tensors that nobody holds any more. */
const forgotten = new FinalizationRegistry<NativeMemory>((memory) => callNative((native) => native.release(memory)));

/** How values come into a tensor or out of it. */
export interface TransferOptions extends WaitOptions {
  /** The queue of it. Default: that of the call which made the tensor; from one GPU to another, the first one's. */
  stream?: Stream | undefined;
}

const knownOptions: ReadonlySet<string> = new Set<keyof TransferOptions>(['stream', 'signal']);
const knownOfSync: ReadonlySet<string> = new Set<keyof TransferOptions>(['stream']);

/** Whether a value is a Tensor of this module. */
export let isTensor: (value: unknown) => value is Tensor;
/** A tensor's memory; ERR_DISPOSED where it has none any more. */
export let memoryOf: (tensor: Tensor, name?: string) => NativeMemory;
export let deviceOf: (tensor: Tensor) => Device;
/** Whether two tensors are views of one memory. */
export let shareMemory: (one: Tensor, other: Tensor) => boolean;

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
  /** The number of the memory for whoever was given it first. */
  readonly #origin: NativeMemory;
  #memory: NativeMemory | undefined;
  #data: Float32Array | Uint16Array | Int32Array | undefined;

  /** @internal */
  constructor(
    secret: symbol,
    memory: NativeMemory,
    dims: readonly number[],
    dtype: DType,
    device: Device,
    origin: NativeMemory = memory,
  ) {
    if (secret !== key) throw new TypeError('Tensors are made by Tensor.from and by ops.');
    this.#origin = origin;
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
    const view = readData(data);
    const type = checkDType(view.kind, dtype);
    const raw = rawData(view, shape, type);
    const tensor = allocateTensor(resolveDevice('cpu'), shape, type);
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

  /**
   * The same memory, seen with other dims: what is written into either is in both. It is freed when both are disposed.
   * Throws ERR_SHAPE where the dims are of another number of elements.
   */
  reshape(dims: readonly number[]): Tensor {
    const shape = checkDims(dims);
    const memory = memoryOf(this);
    const axes: Axis[] = shape.map((size, i) => [`dims[${i}]`, size]);
    if (sizeOf(axes) !== this.size) throw lengthError('the tensor', axes, this.size);
    const shared = callNative((native) => native.share(memory));
    return new Tensor(key, shared, shape, this.#dtype, this.#device, this.#origin);
  }

  /** A copy on the given device, also where the tensor is there already. */
  async to(device: string, options?: TransferOptions): Promise<Tensor> {
    const { stream, signal } = readTransfer(options);
    let copy: Promise<Tensor> | undefined;
    const begin = () => {
      copy = this.#copyTo(device, stream);
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

  async #copyTo(device: string, stream?: Device): Promise<Tensor> {
    const source = memoryOf(this);
    refuseInCapture('a promise form');
    // A stream is of a device that has been set up.
    const target = stream ? resolveDevice(checkName(device)) : readyDevice(checkName(device));
    if (target instanceof Promise) {
      // What is copied are the values of now, whatever becomes of this tensor until the device is ready.
      const [held] = await Promise.all([this.#copyTo(this.device), target]);
      return held.#copyTo(device).finally(() => held.dispose());
    }
    const copy = this.#allocateCopy(target, stream);
    try {
      await awaitNative((native) => native.copy(source, memoryOf(copy), stream?.queue));
      return copy;
    } catch (error) {
      copy.dispose();
      throw error;
    }
  }

  /** The same, and returns when it is done; between tensors of one GPU it only enqueues the copy. */
  toSync(device: string, options?: Omit<TransferOptions, 'signal'>): Tensor {
    const source = memoryOf(this);
    const stream = readSyncStream(options);
    const target = resolveDevice(checkName(device));
    if (target.index !== this.#device.index) refuseInCapture('a copy from another device');
    refuseElsewhere((stream ?? this.#device).queue);
    const copy = this.#allocateCopy(target, stream);
    try {
      callNative((native) => native.copySync(source, memoryOf(copy), stream?.queue));
      return copy;
    } catch (error) {
      copy.dispose();
      throw error;
    }
  }

  /** In the queue that a copy to the target runs in, or in the target's own where that is another device's. */
  #allocateCopy(target: Device, stream: Device | undefined): Tensor {
    if (stream) checkStreamDevice(stream, this.#device.index >= 0 ? this.#device : target);
    const queue = [stream, this.#device, target].find((place) => place?.index === target.index) as Device;
    return allocateTensor(queue, this.#dims, this.#dtype);
  }

  /**
   * Replaces the values by those of a typed array, which is read as in Tensor.from, or of another tensor of the same dims
   * and dtype on any device. Calls made before still see the old values. On a GPU the new ones are sure to be there when
   * the promise settles; until then calls on the tensor may see either. Throws ERR_SHAPE or ERR_DTYPE where the source
   * does not fit.
   *
   * Typed arrays are copied at the call; above 4 MB in slices over turns of the event loop, and then they must not change
   * until the promise settles.
   */
  async copyFrom(source: HostArray | Tensor, options?: TransferOptions): Promise<void> {
    const target = memoryOf(this);
    const { stream, signal } = readTransfer(options);
    const queue = this.#copyingQueue(source, stream);
    refuseInCapture('a promise form');
    if (isTensor(source)) {
      const memory = this.#sourceMemory(source);
      await untilAborted(signal, () => awaitNative((native) => native.copy(memory, target, queue)));
      return;
    }
    const view = readData(source);
    const raw = rawData(view, this.#dims, checkDType(view.kind, this.#dtype));
    const staged = await stage(
      new Map([['source', { ...view, raw }]]),
      (name) => name,
      () => throwIfAborted(signal),
    );
    try {
      const memory = staged.get('source') as NativeMemory;
      await untilAborted(signal, () => awaitNative((native) => native.copy(memory, memoryOf(this), queue)));
    } finally {
      releaseAll(staged.values());
    }
  }

  /**
   * The same, and returns when it is done, so that calls made after see the new values; between tensors of one GPU it only
   * enqueues the copy.
   */
  copyFromSync(source: HostArray | Tensor, options?: Omit<TransferOptions, 'signal'>): void {
    const target = memoryOf(this);
    const queue = this.#copyingQueue(source, readSyncStream(options));
    if (isTensor(source)) {
      const memory = this.#sourceMemory(source);
      if (source.#device.index !== this.#device.index) refuseInCapture('a copy from another device');
      refuseElsewhere(queue ?? this.#device.queue);
      callNative((native) => native.copySync(memory, target, queue));
      return;
    }
    refuseInCapture('a typed array');
    const view = readData(source);
    const raw = rawData(view, this.#dims, checkDType(view.kind, this.#dtype));
    const staged = callNative((native) => native.allocate(-1, raw.byteLength));
    try {
      callNative((native) => {
        native.write(staged, 0, raw);
        native.copySync(staged, target, queue);
      });
    } finally {
      releaseAll([staged]);
    }
  }

  /** The number of the stream, which has to be of the device that the copy runs on. */
  #copyingQueue(source: unknown, stream: Device | undefined): number | undefined {
    if (stream === undefined) return undefined;
    const from = isTensor(source) && source.#device.index >= 0 ? source.#device : this.#device;
    checkStreamDevice(stream, from);
    return stream.queue;
  }

  #sourceMemory(source: Tensor): NativeMemory {
    const memory = memoryOf(source, 'source');
    if (source.dtype !== this.#dtype) {
      throw new SelectiveScanError(
        'ERR_DTYPE',
        `Expected source to have dtype ${this.#dtype} but received ${source.dtype}.`,
      );
    }
    const isSame = source.dims.length === this.#dims.length && source.dims.every((size, i) => size === this.#dims[i]);
    if (isSame) return memory;
    const axes = this.#dims.map((size, i): Axis => [`dims[${i}]`, size]);
    throw shapeError('source', axes, source.dims);
  }

  /**
   * The values, after all work that the tensor waits for: 16-bit floats widened to Float32Array (exactly), complex64 as
   * interleaved pairs.
   */
  async toArray(options?: TransferOptions): Promise<Float32Array | Int32Array> {
    const { stream, signal } = readTransfer(options);
    const memory = memoryOf(this);
    const queue = this.#readingQueue(stream);
    refuseInCapture('a promise form');
    const raw = newRawArray(this.#dtype, this.size);
    await untilAborted(signal, () => awaitNative((native) => native.read(memory, rawView(raw), queue)));
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
  toArraySync(options?: Omit<TransferOptions, 'signal'>): Float32Array | Int32Array {
    const memory = memoryOf(this);
    const queue = this.#readingQueue(readSyncStream(options));
    refuseInCapture('toArraySync()');
    const raw = newRawArray(this.#dtype, this.size);
    callNative((native) => native.readSync(memory, rawView(raw), queue));
    if (!(raw instanceof Uint16Array)) return raw;
    const values = new Float32Array(raw.length);
    widen(raw, values, this.#dtype, 0, raw.length);
    return values;
  }

  #readingQueue(stream: Device | undefined): number | undefined {
    if (stream) checkStreamDevice(stream, this.#device);
    return stream?.queue;
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
    shareMemory = (one, other) => one.#origin === other.#origin;
  }
}

/** A tensor of undefined contents, for an op to write. */
export function allocateTensor(device: Device, dims: readonly number[], dtype: DType): Tensor {
  const size = dims.reduce((product, axis) => product * axis, 1);
  const memory = callNative((native) => native.allocate(device.queue, size * bytesOf[dtype]));
  return new Tensor(key, memory, dims, dtype, device);
}

function readTransfer(options: unknown): { stream?: Device | undefined; signal?: AbortSignal | undefined } {
  if (options === undefined) return {};
  const { stream, signal } = readOptions<TransferOptions>(options, knownOptions, 'options');
  return { stream: readStream(stream), signal: checkSignal(signal) };
}

function readSyncStream(options: unknown): Device | undefined {
  if (options === undefined) return undefined;
  return readStream(readOptions<TransferOptions>(options, knownOfSync, 'options').stream);
}

function checkName(device: unknown): string {
  if (typeof device === 'string') return device;
  throw new SelectiveScanError('ERR_DEVICE', `Expected device to be a string but received ${describe(device)}.`);
}
