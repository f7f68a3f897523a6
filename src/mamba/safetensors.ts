import { describe } from '../check.js';
import { readyDevice } from '../device.js';
import { bytesOf } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { fillTensor } from '../filling.js';
import { rawView } from '../host-array.js';
import { allocPinned } from '../pinned.js';
import { throwIfAborted } from '../signal.js';
import type { Tensor } from '../tensor.js';
import { checkpointError, quoted, shorten } from './checkpoint-error.js';
import { convertFloats, type FloatBits, type FloatDType } from './float-conversion.js';
import { checkFloatDType, type LoadOptions, readLoadOptions } from './load-options.js';
import { checkPath, longestJson, ModelFile } from './model-file.js';
import { loadable, parseHeader, type StoredTensor } from './safetensors-header.js';

/** Bytes read at a time to be converted: the slowest conversion takes less than ten milliseconds of the event loop. */
const convertedBytes = 1024 * 1024;

/** Bytes read at a time to go to a GPU as they are. They are read into page-locked memory, which the GPU then fetches. */
const pinnedBytes = 8 * 1024 * 1024;

/** An open safetensors file. Its header has been checked; tensors are read when they are asked for. */
export class SafetensorsFile {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly #file: ModelFile;
  readonly #dataStart: number;
  /** Page-locked memory that no call uses: locking a page takes longer than reading it. */
  readonly #pinned: ArrayBufferLike[] = [];

  private constructor(file: ModelFile, dataStart: number, tensors: ReadonlyMap<string, StoredTensor>) {
    this.#file = file;
    this.#dataStart = dataStart;
    this.tensors = tensors;
  }

  /** Opens a file and checks its header; ERR_CHECKPOINT says what is wrong with it. */
  static async open(path: string): Promise<SafetensorsFile> {
    const file = await ModelFile.open(checkPath('path', path));
    try {
      const source = `'${path}'`;
      if (file.size < 8) throw checkpointError(`${source} to begin with 8 bytes, its header's length`, `${file.size}`);
      const prefix = new DataView(new ArrayBuffer(8));
      await file.read(0, new Uint8Array(prefix.buffer));
      const length = prefix.getBigUint64(0, true);
      const most = Math.min(longestJson, file.size - 8);
      if (length > most) throw checkpointError(`the header of ${source} to have at most ${most} bytes`, `${length}`);
      const header = new Uint8Array(Number(length));
      await file.read(8, header);
      const dataStart = 8 + header.length;
      return new SafetensorsFile(file, dataStart, parseHeader(header, file.size - dataStart, source));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get path(): string {
    return this.#file.path;
  }

  /** Reads a tensor of F32, F16 or BF16 into a device's memory, a piece at a time. */
  async tensor(name: string, options: LoadOptions = {}): Promise<Tensor> {
    const { dtype, device: where, onProgress, signal } = readLoadOptions(options);
    const stored = this.#find(name);
    const from = this.#dtypeOf(name, stored);
    const to = checkFloatDType(dtype) ?? from;
    throwIfAborted(signal);
    const device = await readyDevice(where);

    const total = stored.end - stored.begin;
    const isPinned = device.index >= 0 && from === to && total > convertedBytes;
    const piece = isPinned ? this.#takePinned() : new ArrayBuffer(Math.min(convertedBytes, total));
    try {
      return await fillTensor(device, stored.shape, to, async (element) => {
        throwIfAborted(signal);
        const start = element * bytesOf[from];
        const length = Math.min(piece.byteLength, total - start);
        await this.#file.read(this.#dataStart + stored.begin + start, new Uint8Array(piece, 0, length));
        if (start + length === total) await this.#file.checkSize();
        onProgress?.({ done: start + length, total });
        return rawView(convertFloats(floatBits(piece, length, from), from, to));
      });
    } finally {
      if (isPinned) this.#pinned.push(piece);
    }
  }

  /** Closes the file. Tensors read from it stay. */
  close(): Promise<void> {
    this.#pinned.length = 0;
    return this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #takePinned(): ArrayBufferLike {
    const spare = this.#pinned.pop();
    if (spare !== undefined) return spare;
    try {
      return allocPinned(pinnedBytes / 4).buffer;
    } catch (error) {
      // What cannot be locked, or a runtime that knows no such memory, is no reason not to load.
      const { code } = error as SelectiveScanError;
      if (code !== 'ERR_OUT_OF_MEMORY' && code !== 'ERR_UNSUPPORTED') throw error;
      return new ArrayBuffer(convertedBytes);
    }
  }

  #find(name: string): StoredTensor {
    const stored = this.tensors.get(name);
    if (stored !== undefined) return stored;
    throw new SelectiveScanError(
      'ERR_OPTION',
      `Expected name to be that of a tensor of '${this.path}' but received ${shorten(describe(name))}.`,
    );
  }

  #dtypeOf(name: string, { dtype }: StoredTensor): FloatDType {
    const ours = loadable[dtype];
    if (ours !== undefined) return ours;
    throw checkpointError(`tensor ${quoted(name)} of '${this.path}' to be of F32, F16 or BF16`, dtype);
  }
}

function floatBits(buffer: ArrayBufferLike, bytes: number, dtype: FloatDType): FloatBits {
  return dtype === 'float32' ? new Float32Array(buffer, 0, bytes / 4) : new Uint16Array(buffer, 0, bytes / 2);
}
