import { checkpointError, quoted } from './checkpoint-error.js';
import type { FloatDType } from './float-conversion.js';
import { isJsonObject, kindOf, parseJsonObject } from './json.js';

/** Bits of an element of each dtype that the format names. */
const bitsOf = {
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  ...{ BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8 },
  ...{ U16: 16, I16: 16, F16: 16, BF16: 16 },
  ...{ U32: 32, I32: 32, F32: 32 },
  ...{ U64: 64, I64: 64, F64: 64, C64: 64 },
};

export type StoredDType = keyof typeof bitsOf;

/** The dtypes of the format that can be loaded, by our names. */
export const loadable: Readonly<Partial<Record<StoredDType, FloatDType>>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/** A tensor as a safetensors file describes it. */
export interface StoredTensor {
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** Where its bytes begin and end, counted from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads the header of a safetensors file whose tensors take `dataBytes` bytes, and holds it to the format: every tensor
 * has the bytes that its dtype and shape ask for, and together they cover the data once, without a gap. Tensors may begin
 * at any byte, since they are copied out before they are used.
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, source: string): Map<string, StoredTensor> {
  if (bytes[0] !== '{'.charCodeAt(0)) throw checkpointError(`the header of ${source} to begin with {`, 'another byte');
  const header = parseJsonObject(bytes, `the header of ${source}`);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') checkMetadata(entry, source);
    else tensors.set(name, parseEntry(entry, `tensor ${quoted(name)} of ${source}`));
  }
  checkCover(tensors, dataBytes, source);
  return tensors;
}

function checkMetadata(metadata: unknown, source: string): void {
  if (isJsonObject(metadata) && Object.values(metadata).every((value) => typeof value === 'string')) return;
  throw checkpointError(`__metadata__ of ${source} to be an object of strings`, kindOf(metadata));
}

function parseEntry(entry: unknown, what: string): StoredTensor {
  if (!isJsonObject(entry)) throw checkpointError(`${what} to be described by an object`, kindOf(entry));
  const known = ['dtype', 'shape', 'data_offsets'];
  const unknown = Object.keys(entry).find((key) => !known.includes(key));
  if (unknown !== undefined) throw checkpointError(`${what} to have ${known.join(', ')}`, quoted(unknown));
  const dtype = parseDType(entry.dtype, what);
  const shape = parseShape(entry.shape, what);
  const [begin, end] = parseOffsets(entry.data_offsets, what);
  const bytes = (shape.reduce((product, size) => product * size, 1) * bitsOf[dtype]) / 8;
  if (end - begin !== bytes) {
    throw checkpointError(`${what} to have the ${bytes} bytes of ${dtype} [${shape.join(', ')}]`, `${end - begin}`);
  }
  return Object.freeze({ dtype, shape: Object.freeze(shape), begin, end });
}

function parseDType(dtype: unknown, what: string): StoredDType {
  if (typeof dtype === 'string' && Object.hasOwn(bitsOf, dtype)) return dtype as StoredDType;
  throw checkpointError(`${what} to have a dtype that safetensors knows`, kindOf(dtype));
}

function parseShape(shape: unknown, what: string): number[] {
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw checkpointError(`${what} to have a shape of whole numbers`, kindOf(shape));
  }
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    // Eight bytes an element at most, so that bytes are exact as well.
    if (!Number.isSafeInteger(8 * elements)) throw checkpointError(`${what} to have fewer elements`, kindOf(shape));
  }
  return shape;
}

function parseOffsets(offsets: unknown, what: string): [number, number] {
  const [begin, end, ...rest]: unknown[] = Array.isArray(offsets) ? offsets : [];
  if (isCount(begin) && isCount(end) && begin <= end && rest.length === 0) return [begin, end];
  throw checkpointError(`${what} to have data_offsets of two whole numbers in order`, kindOf(offsets));
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function checkCover(tensors: ReadonlyMap<string, StoredTensor>, dataBytes: number, source: string): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const [name, { begin, end }] of inOrder) {
    if (begin !== covered) {
      const fault = begin < covered ? 'an overlap' : 'a gap';
      const where = `tensor ${quoted(name)} of ${source} to begin at byte ${covered}, where the one before ends,`;
      throw checkpointError(where, `${fault} (it begins at ${begin})`);
    }
    covered = end;
  }
  if (covered !== dataBytes) throw checkpointError(`${source} to have ${covered} bytes of tensors`, `${dataBytes}`);
}
