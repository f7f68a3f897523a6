import { type DType, Tensor } from 'selective-scan';
import { seeded } from './random';
import { type FloatType, roundTo } from './rounding';

/** A tensor on a device, of values that are rounded to the dtype. */
export function placed(values: ArrayLike<number>, dims: readonly number[], dtype: DType, device: string): Tensor {
  const array = dtype === 'int32' ? Int32Array.from(values) : Float32Array.from(values);
  const host = Tensor.from(array, dims, dtype);
  if (device === 'cpu') return host;
  const tensor = host.toSync(device);
  host.dispose();
  return tensor;
}

/** Normal numbers that the dtype has. */
export function normals(count: number, dtype: FloatType, seed = 1, scale = 1): Float64Array {
  const random = seeded(seed);
  return Float64Array.from({ length: count }, () => roundTo(dtype, scale * random.normal()));
}

/** The values of a result, which is disposed. */
export async function taken(tensor: Tensor): Promise<Float64Array> {
  const values = Float64Array.from(await tensor.toArray());
  tensor.dispose();
  return values;
}

/** Row by row. */
export function mapRows(x: Float64Array, length: number, f: (row: Float64Array) => Float64Array): Float64Array {
  const out = new Float64Array(x.length);
  for (let i = 0; i < x.length; i += length) out.set(f(x.subarray(i, i + length)), i);
  return out;
}
