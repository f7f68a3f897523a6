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
