import { describe, shapeError } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { viewHostArray } from '../host-array.js';
import { isTensor, memoryOf } from '../tensor.js';

/** A copy of integers that the host reads, an Int32Array or a CPU tensor of one axis; later changes do not reach it. */
export function copyIntegers(name: string, value: unknown, axis: string): Int32Array {
  if (isTensor(value)) {
    memoryOf(value, name);
    if (value.dtype !== 'int32') {
      throw new SelectiveScanError('ERR_DTYPE', `Expected ${name} to have dtype int32 but received ${value.dtype}.`);
    }
    if (value.device !== 'cpu') {
      throw new SelectiveScanError(
        'ERR_DEVICE',
        `Expected ${name} on cpu, because the host reads it, but received a tensor on ${value.device}.`,
      );
    }
    if (value.dims.length !== 1) throw shapeError(name, [[axis, value.size]], value.dims);
    return Int32Array.from(value.data);
  }
  const view = viewHostArray(value);
  if (view?.kind === 'Int32Array') return new Int32Array(view.raw.slice().buffer);
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected ${name} to be an Int32Array or an int32 Tensor but received ${view?.kind ?? describe(value)}.`,
  );
}

/** A copy of cuSeqlens, whose values are checked here and must not change after. */
export function readCuSeqlens(
  value: unknown,
  { batch, seqlen }: { readonly batch: number; readonly seqlen: number },
): Int32Array | undefined {
  if (value === undefined) return undefined;
  const starts = copyIntegers('cuSeqlens', value, 'sequences + 1');
  if (batch !== 1) throw failure('batch to be 1 with cuSeqlens', batch);
  if (starts.length < 2) throw failure('cuSeqlens to have at least 2 entries', starts.length);
  if (starts[0] !== 0) throw failure('cuSeqlens to begin with 0', starts[0]);
  const falls = starts.findIndex((start, i) => i > 0 && start < (starts[i - 1] as number));
  if (falls > 0) {
    throw failure('cuSeqlens never to fall', `${starts[falls]} after ${starts[falls - 1]} at entry ${falls}`);
  }
  if (starts.at(-1) !== seqlen) throw failure(`cuSeqlens to end with seqlen = ${seqlen}`, starts.at(-1));
  return starts;
}

/** A copy of slots that the host can read; undefined where they are not given or on a GPU. */
export function readHostSlots(value: unknown): Int32Array | undefined {
  if (value === undefined || (isTensor(value) && value.device !== 'cpu')) return undefined;
  return copyIntegers('slots', value, 'batch');
}

/** Throws unless there is a slot for each row, -1 or one of those that there are, and none of these twice. */
export function checkSlots(found: Int32Array, batch: number, slots: number): void {
  if (found.length !== batch) throw failure(`slots to have length batch = ${batch}`, String(found.length));
  const rowOf = new Map<number, number>();
  for (const [row, slot] of found.entries()) {
    if (slot === -1) continue;
    if (slot < 0 || slot >= slots) throw failure(`slots from -1 to ${slots - 1}`, `${slot} for row ${row}`);
    const other = rowOf.get(slot);
    if (other !== undefined) throw failure('a slot of its own for each row', `${slot} for rows ${other} and ${row}`);
    rowOf.set(slot, row);
  }
}

function failure(expected: string, received: unknown): SelectiveScanError {
  return new SelectiveScanError('ERR_SHAPE', `Expected ${expected} but received ${received}.`);
}
