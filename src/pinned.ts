import { checkSize, describe } from './check.js';
import { bytesOf, type DType, isDType } from './dtype.js';
import { SelectiveScanError } from './errors.js';
import { type HostArray, typedArrayOver } from './host-array.js';
import { callNative } from './native.js';

/**
 * A typed array of zeros in page-locked memory, which a GPU reads by itself: calls on such arrays move at the full speed of
 * the link. They are read in place, so they must not change until the promise of a call of more than 4 MB settles.
 *
 * float32 is a Float32Array; float16 a Float16Array, where the runtime has it, else a Uint16Array of its bits; bfloat16 a
 * Uint16Array; complex64 a Float32Array of pairs; int32 an Int32Array. The memory is given back when the array has been
 * collected. It is not pageable, so a machine has only so much to give; without a GPU it is ordinary memory. The first use
 * of a GPU initialises its driver, for which this waits.
 * Throws ERR_SHAPE, ERR_DTYPE, ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST, ERR_BACKEND_LOAD, or ERR_UNSUPPORTED where the runtime
 * allows no arrays over native memory.
 */
export function allocPinned(length: number, dtype?: 'float32' | 'complex64'): Float32Array;
export function allocPinned(length: number, dtype: DType): HostArray;
export function allocPinned(length: number, dtype: DType = 'float32'): HostArray {
  const size = checkSize('length', length, 0);
  if (!isDType(dtype)) {
    throw new SelectiveScanError('ERR_DTYPE', `Expected dtype to be a dtype but received ${describe(dtype)}.`);
  }
  const bytes = checkSize('the bytes of length', size * bytesOf[dtype], 0);
  return typedArrayOver(
    callNative((native) => native.allocatePinned(bytes)),
    dtype,
  );
}
