import { type SelectiveScanError, Tensor } from 'selective-scan';

const small = 2 ** 26; // bytes
const large = 2 ** 30;

/** Takes a GPU's memory but for about so many bytes. The tensors have to be disposed. */
export function fillMemory(device: string, left: number): Tensor[] {
  const many = takeAll(device, large);
  many.pop()?.dispose();
  const few = takeAll(device, small);
  for (let free = 0; free < left; free += small) few.pop()?.dispose();
  return [...many, ...few];
}

/** Tensors of so many bytes until there is no memory for another; copies on the device, which take no time. */
function takeAll(device: string, bytes: number): Tensor[] {
  using source = Tensor.from(new Float32Array(bytes / 4), [bytes / 4]);
  const taken: Tensor[] = [];
  try {
    for (;;) taken.push((taken[0] ?? source).toSync(device));
  } catch (error) {
    if ((error as SelectiveScanError).code !== 'ERR_OUT_OF_MEMORY') throw error;
    return taken;
  }
}
