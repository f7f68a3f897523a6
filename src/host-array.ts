import { bytesOf, type DType } from './dtype.js';
import { SelectiveScanError } from './errors.js';

/** A typed array of floating point values: Float32Array, and Float16Array where the runtime has it. */
export type FloatArray = Float32Array | Float16ArrayLike;

/** What this package needs of a Float16Array, which older runtimes and TypeScript libraries do not know. */
export interface Float16ArrayLike extends ArrayBufferView {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly length: number;
  [index: number]: number;
}

/** Any typed array that a Tensor can be made from. */
export type HostArray = FloatArray | Uint16Array | Int32Array;

type Kind = 'Float32Array' | 'Float16Array' | 'Uint16Array' | 'Int32Array';

/** A typed array's memory as the native side takes it: bits in units of an element, or of half a complex one. */
export type RawView = Uint8Array | Uint16Array | Uint32Array;

/** A typed array as it is now: its kind, its length in elements, and a view of the same memory. */
export interface HostView {
  readonly kind: Kind;
  readonly length: number;
  readonly raw: RawView;
}

// The getters of %TypedArray%.prototype read a view's true state, whatever properties a caller has put on it, and serve
// the typed arrays of every realm.
const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
function getter(name: PropertyKey): (view: unknown) => unknown {
  const get = Object.getOwnPropertyDescriptor(prototype, name)?.get as () => unknown;
  return (view) => get.call(view);
}
const tagOf = getter(Symbol.toStringTag);
const lengthOf = getter('length') as (view: unknown) => number;
const byteLengthOf = getter('byteLength') as (view: unknown) => number;
const byteOffsetOf = getter('byteOffset') as (view: unknown) => number;
const bufferOf = getter('buffer') as (view: unknown) => ArrayBuffer;

const kinds: ReadonlySet<unknown> = new Set<Kind>(['Float32Array', 'Float16Array', 'Uint16Array', 'Int32Array']);

/** Reads a typed array's kind, length and memory; undefined if it is none of those that hold our dtypes. */
export function viewHostArray(value: unknown): HostView | undefined {
  if (!ArrayBuffer.isView(value)) return undefined;
  const kind = tagOf(value); // undefined for a DataView
  if (!kinds.has(kind)) return undefined;
  return { kind: kind as Kind, length: lengthOf(value), raw: rawView(value) };
}

/**
 * The memory of a typed array of 16-bit or 32-bit elements. Not as bytes, of which there may be more than the longest
 * Uint8Array has.
 */
export function rawView(array: ArrayBufferView): RawView {
  const length = lengthOf(array);
  // A detached array has length 0, but no view of its buffer can be made.
  if (length === 0) return new Uint8Array(0);
  const Raw = byteLengthOf(array) === 2 * length ? Uint16Array : Uint32Array;
  return new Raw(bufferOf(array), byteOffsetOf(array), length);
}

/** A new typed array for that many elements: bits of 16-bit floats, pairs of complex numbers. */
export function newRawArray(dtype: DType, length: number): Float32Array | Uint16Array | Int32Array {
  try {
    if (dtype === 'int32') return new Int32Array(length);
    if (bytesOf[dtype] === 2) return new Uint16Array(length);
    return new Float32Array(dtype === 'complex64' ? 2 * length : length);
  } catch (cause) {
    throw new SelectiveScanError('ERR_OUT_OF_MEMORY', `Expected to allocate an array of ${length} ${dtype} values.`, {
      cause,
    });
  }
}

/** The same for a result that a caller gets: 16-bit floats are float16 in the runtime's Float16Array. */
export function newFloatArray(dtype: DType, length: number): FloatArray {
  const raw = newRawArray(dtype, length);
  return dtype === 'float16' ? (typedArrayOver(raw.buffer as ArrayBuffer, dtype) as FloatArray) : (raw as Float32Array);
}

/** All of a buffer as an array of a dtype: float16 in a Float16Array where the runtime has it, else as bits. */
export function typedArrayOver(buffer: ArrayBuffer, dtype: DType): HostArray {
  if (dtype === 'int32') return new Int32Array(buffer);
  if (bytesOf[dtype] === 4 || dtype === 'complex64') return new Float32Array(buffer);
  const { Float16Array } = globalThis as { Float16Array?: new (buffer: ArrayBuffer) => Float16ArrayLike };
  return dtype === 'float16' && Float16Array ? new Float16Array(buffer) : new Uint16Array(buffer);
}
