import { describe, readOptions } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { checkSignal } from '../signal.js';
import { type FloatDType, isFloatDType } from './float-conversion.js';

/** How to read one tensor. */
export interface LoadOptions {
  /** The dtype to convert to, by rounding to nearest even; by default the one that the file has. */
  dtype?: FloatDType | undefined;
  /** Where the tensor is to be; by default as for `selectiveScan`. */
  device?: string | undefined;
  /** Called after each piece that was read. An error that it throws ends the load. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Ends the load with ERR_ABORTED before the next piece. */
  signal?: AbortSignal | undefined;
}

/** How to read all tensors of a model: `dtype` may be a function of a tensor's name. */
export interface LoadAllOptions extends Omit<LoadOptions, 'dtype'> {
  dtype?: FloatDType | ((name: string) => FloatDType | undefined) | undefined;
}

/** Bytes of files read so far, and in all. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

const known: ReadonlySet<string> = new Set(['dtype', 'device', 'onProgress', 'signal']);

/** A copy of the options, checked but for the dtype and the device. */
export function readLoadOptions<T extends LoadAllOptions>(options: T): T {
  const read = readOptions<T>(options, known, 'options');
  checkSignal(read.signal);
  const { onProgress } = read;
  if (onProgress === undefined || typeof onProgress === 'function') return read;
  throw new SelectiveScanError(
    'ERR_OPTION',
    `Expected onProgress to be a function but received ${describe(onProgress)}.`,
  );
}

export function checkFloatDType(dtype: unknown): FloatDType | undefined {
  if (dtype === undefined || isFloatDType(dtype)) return dtype;
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected dtype to be 'float32', 'float16' or 'bfloat16' but received ${describe(dtype)}.`,
  );
}
