import type { Device } from './device.js';
import { bytesOf, type DType } from './dtype.js';
import type { RawView } from './host-array.js';
import { callNative } from './native.js';
import { allocateTensor, memoryOf, type Tensor } from './tensor.js';

/**
 * A new tensor, filled piece by piece: `next` gives the raw values from an element on, as many as it likes, and may use
 * the memory of one piece for the next. Host memory is taken for one piece at a time, and each is on the device before
 * the next is asked for.
 */
export async function fillTensor(
  device: Device,
  dims: readonly number[],
  dtype: DType,
  next: (element: number) => Promise<RawView>,
): Promise<Tensor> {
  const tensor = allocateTensor(device, dims, dtype);
  try {
    for (let element = 0; element < tensor.size; ) {
      const piece = await next(element);
      callNative((native) => native.write(memoryOf(tensor), element * bytesOf[dtype], piece));
      element += piece.byteLength / bytesOf[dtype];
    }
    return tensor;
  } catch (error) {
    tensor.dispose();
    throw error;
  }
}
