import { Tensor } from 'selective-scan';

export type FloatType = 'float32' | 'float16' | 'bfloat16';

// A block of random numbers in [-1, 1), rounded once and repeated in bits to the longest length asked for so far:
// making every number anew would take longer than the measurement, and a device does not know the difference.
const blockLength = (1 << 20) + 7;
const repeated = new Map<FloatType, Float32Array | Uint16Array>();

function randomBits(dtype: FloatType, length: number): Float32Array | Uint16Array {
  const known = repeated.get(dtype);
  if (known !== undefined && known.length >= length) return known.subarray(0, length);
  using block = Tensor.from(Float32Array.from(randomNumbers(1, blockLength), centred), [blockLength], dtype);
  const { data } = block;
  const all = dtype === 'float32' ? new Float32Array(length) : new Uint16Array(length);
  for (let start = 0; start < length; start += data.length) all.set(data.subarray(0, length - start), start);
  repeated.set(dtype, all);
  return all;
}

/** Numbers in [0, 1), the same at every run. */
export function randomNumbers(seed: number, count: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}

const centred = (random: number) => 2 * random - 1;

/** A tensor of random numbers in [-1, 1). All tensors of a dtype begin with the same ones. */
export function randomTensor(device: string, dims: readonly number[], dtype: FloatType): Tensor {
  const length = dims.reduce((product, size) => product * size, 1);
  using host = Tensor.from(randomBits(dtype, length), dims, dtype);
  return host.toSync(device);
}

/** A near -(n + 1), as a Mamba layer has it; complex, it also turns. */
export function stateMatrix(device: string, dim: number, dstate: number, isComplex = false): Tensor {
  const real = (i: number) => -((i % dstate) + 1) * (1 + 0.1 * Math.sin(i));
  const values = isComplex
    ? Float32Array.from({ length: 2 * dim * dstate }, (_, i) => (i % 2 === 0 ? real(i >> 1) : Math.PI * Math.cos(i)))
    : Float32Array.from({ length: dim * dstate }, (_, i) => real(i));
  using host = Tensor.from(values, [dim, dstate], isComplex ? 'complex64' : 'float32');
  return host.toSync(device);
}

/** What makes step sizes of a few hundredths, by softplus, of delta in [-1, 1). */
export function deltaBias(device: string, dim: number): Tensor {
  using host = Tensor.from(
    Float32Array.from(randomNumbers(2, dim), (random) => -4 + centred(random)),
    [dim],
  );
  return host.toSync(device);
}

/** Sets of the same numbers, the copies made on the device. */
export function copies<Inputs extends object>(inputs: Inputs, count: number): Inputs[] {
  const copy = () =>
    Object.fromEntries(
      Object.entries(inputs).map(([name, tensor]: [string, Tensor]) => [name, tensor.toSync(tensor.device)]),
    );
  return [inputs, ...Array.from({ length: count - 1 }, () => copy() as Inputs)];
}

export function dispose(sets: readonly object[]): void {
  for (const inputs of sets) for (const tensor of Object.values(inputs)) (tensor as Tensor).dispose();
}
