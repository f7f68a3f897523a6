import { linear, linearSync, Tensor } from 'selective-scan';
import type { Form } from './call';
import { type Random, seeded } from './random';
import { type FloatType, roundTo } from './rounding';

// Named once: inside jest every use of a global is a look-up through its sandbox.
const { abs, max, sqrt } = Math;

export interface LinearSpec {
  rows?: number;
  in?: number;
  out?: number;
  dtype?: FloatType; // of x
  weightDType?: FloatType;
  biasDType?: FloatType | undefined; // none: no bias
  outDType?: FloatType | undefined; // none: not said, which is x's
  split?: readonly number[];
  seed?: number;
}

/** A product, with operands that their dtypes hold exactly. */
export interface LinearCase extends LinearSpec {
  rows: number;
  in: number;
  out: number;
  dtype: FloatType;
  weightDType: FloatType;
  x: Float64Array; // [rows, in]
  weight: Float64Array; // [out, in]
  bias: Float64Array; // [out]
}

export function linearCase(spec: LinearSpec = {}): LinearCase {
  const { rows = 3, in: depth = 37, out = 21, dtype = 'float32', weightDType = 'float32' } = spec;
  const random = seeded(spec.seed ?? 11);
  return {
    ...spec,
    ...{ rows, in: depth, out, dtype, weightDType },
    x: normals(random, rows * depth, dtype),
    weight: normals(random, out * depth, weightDType),
    bias: normals(random, out, spec.biasDType ?? 'float32'),
  };
}

function normals(random: Random, count: number, dtype: FloatType): Float64Array {
  return Float64Array.from({ length: count }, () => roundTo(dtype, random.normal()));
}

/** The result in float64, [rows, out], and with each number the sum of the magnitudes that were added up to it. */
export function referenceLinear({ rows, in: depth, out, x, weight, bias, biasDType }: LinearCase) {
  const result = { out: new Float64Array(rows * out), magnitude: new Float64Array(rows * out) };
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < out; o++) {
      let sum = biasDType ? (bias[o] as number) : 0;
      let magnitude = abs(sum);
      for (let i = 0; i < depth; i++) {
        const product = (x[r * depth + i] as number) * (weight[o * depth + i] as number);
        sum += product;
        magnitude += abs(product);
      }
      result.out[r * out + o] = sum;
      result.magnitude[r * out + o] = magnitude;
    }
  }
  return result;
}

/** Half of the distance between neighbours, over their magnitude. */
const roundoff: Record<FloatType, number> = { float32: 2 ** -24, float16: 2 ** -11, bfloat16: 2 ** -8 };

/**
 * Numbers further off than rounding the result explains, and that float32 sums explain. The roundings of a sum are a random
 * walk, of as many steps as there are products where they are added one by one: four units of the sum of magnitudes hold
 * for short sums, half the root of their number for long ones. Twice the worst that has been seen of either.
 */
export function linearComplaints(
  problem: LinearCase,
  got: ArrayLike<number>,
  want = referenceLinear(problem),
): string[] {
  if (got.length !== want.out.length) return [`${got.length} numbers instead of ${want.out.length}`];
  const rounding = roundoff[problem.outDType ?? problem.dtype];
  const summing = roundoff.float32 * max(4, sqrt(problem.in) / 2);
  const wrong: string[] = [];
  for (let i = 0; i < got.length; i++) {
    const [found, expected] = [got[i] as number, want.out[i] as number];
    const limit = rounding * abs(expected) + summing * (want.magnitude[i] as number);
    if (!(abs(found - expected) <= limit)) wrong.push(`${i}: ${found} instead of ${expected}`);
  }
  return wrong.slice(0, 5);
}

/** The operands as tensors on a device; before the last axis x has the axes given, of `rows` elements in all. */
export function linearOptions(problem: LinearCase, device: string, lead: readonly number[] = [problem.rows]) {
  const { in: depth, out, dtype, weightDType, biasDType, outDType } = problem;
  return {
    x: tensorOn(device, problem.x, [...lead, depth], dtype),
    weight: tensorOn(device, problem.weight, [out, depth], weightDType),
    ...(biasDType && { bias: tensorOn(device, problem.bias, [out], biasDType) }),
    ...(outDType && { dtype: outDType }),
  };
}

function tensorOn(device: string, values: Float64Array, dims: number[], dtype: FloatType): Tensor {
  using host = Tensor.from(new Float32Array(values), dims, dtype);
  return host.toSync(device);
}

/** The result as [rows, out], put together again where it was split. */
export async function callLinear(problem: LinearCase, device: string, form: Form = 'promise'): Promise<Float64Array> {
  const options = linearOptions(problem, device);
  const { split } = problem;
  const outs: Tensor[] = [];
  if (split === undefined) {
    outs.push((form === 'sync' ? linearSync(options) : await linear(options)).out);
  } else {
    const parts = { ...options, split };
    outs.push(...(form === 'sync' ? linearSync(parts) : await linear(parts)).outs);
  }
  const result = await joined(outs, problem);
  for (const value of [...Object.values(options), ...outs]) if (value instanceof Tensor) value.dispose();
  return result;
}

async function joined(outs: readonly Tensor[], { rows, out }: LinearCase): Promise<Float64Array> {
  const result = new Float64Array(rows * out);
  let first = 0;
  for (const tensor of outs) {
    const values = await tensor.toArray();
    const size = tensor.dims.at(-1) as number;
    for (let r = 0; r < rows; r++) result.set(values.subarray(r * size, (r + 1) * size), r * out + first);
    first += size;
  }
  return result;
}
