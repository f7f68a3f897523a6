import { describe } from '../check.js';
import { SelectiveScanError } from '../errors.js';

/** Token ids as a caller gives them. */
export type TokenIds = Int32Array | readonly number[];

export function isTokenIds(value: unknown): value is TokenIds {
  return value instanceof Int32Array || (Array.isArray(value) && value.every((id) => typeof id === 'number'));
}

/** A copy of token ids, of which there has to be one at least, each of the vocabulary. */
export function checkTokenIds(name: string, value: unknown, vocabSize: number): Int32Array {
  if (!isTokenIds(value)) {
    const received = Array.isArray(value) ? 'an array of something else' : describe(value);
    throw new SelectiveScanError(
      'ERR_DTYPE',
      `Expected ${name} to be an Int32Array or an array of token ids but received ${received}.`,
    );
  }
  if (value.length === 0)
    throw new SelectiveScanError('ERR_SHAPE', `Expected ${name} to have a token but received none.`);
  for (const id of value) {
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw new SelectiveScanError('ERR_SHAPE', `Expected ${name} to be from 0 to ${vocabSize - 1} but received ${id}.`);
  }
  return Int32Array.from(value);
}

/** Token ids of one sequence, or of several. */
export function checkBatch(name: string, value: unknown, vocabSize: number): Int32Array[] {
  const isBatch = Array.isArray(value) && value.length > 0 && typeof value[0] !== 'number';
  if (!isBatch) return [checkTokenIds(name, value, vocabSize)];
  return value.map((ids, row) => checkTokenIds(`${name}[${row}]`, ids, vocabSize));
}
