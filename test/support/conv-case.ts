import { type CausalConv1dOptions, causalConv1d, causalConv1dSync, type Layout, Tensor } from 'selective-scan';
import type { Form } from './call';
import { relativeError } from './closeness';
import { seeded } from './random';
import { type FloatType, roundTo } from './rounding';

// Named once: inside jest every use of a global is a look-up through its sandbox.
const { exp, fround, max } = Math;

/** A convolution whose arrays hold values of their dtypes; activations are in the layout's order. */
export interface ConvCase {
  batch: number;
  dim: number;
  seqlen: number;
  width: number;
  dtype: FloatType;
  weightDType: FloatType;
  layout: Layout;
  silu: boolean;
  x: Float64Array;
  weight: Float64Array; // [dim, width]
  bias?: Float64Array; // [dim]
  initialState?: Float64Array; // [sequences, dim, width - 1]
  cuSeqlens?: readonly number[];
}

/** What the case has; bias and initialState as flags. */
export interface ConvSpec {
  batch?: number;
  dim?: number;
  seqlen?: number;
  width?: number;
  dtype?: FloatType;
  weightDType?: FloatType;
  layout?: Layout;
  silu?: boolean;
  bias?: boolean;
  initialState?: boolean;
  cuSeqlens?: readonly number[];
  seed?: number;
}

export interface ConvOutputs {
  out: Float64Array;
  finalState: Float64Array; // [sequences, dim, width - 1]
}

export function convCase(spec: ConvSpec): ConvCase {
  const { batch = 2, dim = 33, seqlen = 65, width = 4, dtype = 'float32', weightDType = 'float32', cuSeqlens } = spec;
  const { layout = 'bdl', silu = true, bias = true, initialState = true } = spec;
  const random = seeded(spec.seed ?? 5);
  const values = (type: FloatType, size: number): Float64Array =>
    Float64Array.from({ length: size }, () => roundTo(type, random.normal()));
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : batch;
  return {
    ...{ batch, dim, seqlen, width, dtype, weightDType, layout, silu },
    x: values(dtype, batch * dim * seqlen),
    weight: values(weightDType, dim * width),
    ...(bias && { bias: values(weightDType, dim) }),
    ...(initialState && { initialState: values(dtype, sequences * dim * (width - 1)) }),
    ...(cuSeqlens && { cuSeqlens }),
  };
}

/** Where each sequence is: its batch entry and its first step and the one after its last. */
export function convSequences({ batch, seqlen, cuSeqlens }: ConvCase): { b: number; from: number; to: number }[] {
  if (!cuSeqlens) return Array.from({ length: batch }, (_, b) => ({ b, from: 0, to: seqlen }));
  return cuSeqlens.slice(1).map((to, s) => ({ b: 0, from: cuSeqlens[s] as number, to }));
}

/** The index of an activation. */
export function convIndex({ dim, seqlen, layout }: ConvCase, b: number, d: number, t: number): number {
  return layout === 'bdl' ? (b * dim + d) * seqlen + t : (b * seqlen + t) * dim + d;
}

/**
 * out[t,d] = silu?(bias[d] + sum_k weight[d,k] * x[t - (width - 1) + k, d]), with `round` after each operation: in float64
 * without, a plain evaluation in float32 with Math.fround.
 */
export function referenceConv(c: ConvCase, round: (x: number) => number = (x) => x): ConvOutputs {
  const kept = c.width - 1;
  const sequences = convSequences(c);
  const out = new Float64Array(c.x.length);
  const finalState = new Float64Array(sequences.length * c.dim * kept);
  for (const [s, { b, from, to }] of sequences.entries()) {
    for (let d = 0; d < c.dim; d++) {
      const row = (s * c.dim + d) * kept;
      /** The input at a step of the sequence, of which those before the first are the state's. */
      const input = (t: number): number =>
        (t < 0 ? (c.initialState?.[row + kept + t] ?? 0) : c.x[convIndex(c, b, d, from + t)]) as number;
      for (let t = 0; t < to - from; t++) {
        let y = c.bias?.[d] ?? 0;
        for (let k = 0; k < c.width; k++) {
          y = round(y + round((c.weight[d * c.width + k] as number) * input(t - kept + k)));
        }
        out[convIndex(c, b, d, from + t)] = c.silu ? round(y / round(1 + round(exp(-y)))) : y;
      }
      for (let j = 0; j < kept; j++) finalState[row + j] = input(to - from - kept + j);
    }
  }
  return { out, finalState };
}

/**
 * Twice the error of a plain evaluation in float32 whose outputs are rounded to the dtype; the largest of several
 * evaluations that round up or down at random, because one that rounds to nearest may hit a few outputs by luck.
 */
export function convLimit(c: ConvCase, want: ConvOutputs): number {
  const roundings = [fround, ...(c.x.length > 20_000 ? [] : [1, 2, 3, 4].map(randomRounding))];
  const errors = roundings.map((round) => {
    const plain = referenceConv(c, round).out.map((y) => roundTo(c.dtype, y));
    return relativeError(plain, want.out);
  });
  return 2 * max(...errors);
}

function randomRounding(seed: number): (x: number) => number {
  const random = seeded(seed);
  return (x) => fround(x * (1 + random.uniform(-(2 ** -24), 2 ** -24)));
}

/** One sentence for each output more than `slack` times beyond its limit; states are copies, and exact. */
export function convComplaints(c: ConvCase, got: ConvOutputs, slack = 1): string[] {
  const want = referenceConv(c);
  const limit = slack * convLimit(c, want);
  const error = relativeError(got.out, want.out);
  const wrong = want.finalState.findIndex((x, i) => got.finalState[i] !== x);
  return [
    ...(error <= limit ? [] : [`out: error ${error} above ${limit}`]),
    ...(wrong < 0 && got.finalState.length === want.finalState.length ? [] : [`finalState: wrong at ${wrong}`]),
  ];
}

/** A tensor on a device. */
export function place(x: ArrayLike<number>, dims: readonly number[], dtype: FloatType, device: string): Tensor {
  const host = Tensor.from(Float32Array.from(x), dims, dtype);
  if (device === 'cpu') return host;
  const placed = host.toSync(device);
  host.dispose();
  return placed;
}

/** The operands as tensors on a device. */
export function convOptions(c: ConvCase, device: string): CausalConv1dOptions {
  const { batch, dim, seqlen, width, dtype, weightDType, layout, cuSeqlens } = c;
  const states = [convSequences(c).length, dim, width - 1];
  return {
    x: place(c.x, layout === 'bdl' ? [batch, dim, seqlen] : [batch, seqlen, dim], dtype, device),
    weight: place(c.weight, [dim, width], weightDType, device),
    ...(c.bias && { bias: place(c.bias, [dim], weightDType, device) }),
    ...(c.initialState && { initialState: place(c.initialState, states, dtype, device) }),
    ...(cuSeqlens && { cuSeqlens: Int32Array.from(cuSeqlens) }),
    ...(c.silu && { activation: 'silu' as const }),
    layout,
    returnFinalState: true,
  };
}

export function disposeTensors(values: object): void {
  for (const value of Object.values(values)) if (value instanceof Tensor) value.dispose();
}

export async function callConv(c: ConvCase, device: string, form: Form = 'promise'): Promise<ConvOutputs> {
  const options = convOptions(c, device);
  const result = form === 'sync' ? causalConv1dSync(options) : await causalConv1d(options);
  const out = Float64Array.from(await result.out.toArray());
  const finalState = Float64Array.from(await (result.finalState as Tensor).toArray());
  disposeTensors(options);
  disposeTensors(result);
  return { out, finalState };
}

/** Steps [from, to) of sequence s as a problem of its own, from a state. */
export function cutConv(c: ConvCase, s: number, from: number, to: number, initialState?: Float64Array): ConvCase {
  const { cuSeqlens: _, initialState: __, ...rest } = c;
  const sequence = convSequences(c)[s] as { b: number; from: number };
  const part: ConvCase = { ...rest, batch: 1, seqlen: to - from, x: new Float64Array((to - from) * c.dim) };
  for (let d = 0; d < c.dim; d++) {
    for (let t = from; t < to; t++) {
      part.x[convIndex(part, 0, d, t - from)] = c.x[convIndex(c, sequence.b, d, sequence.from + t)] as number;
    }
  }
  return initialState ? { ...part, initialState } : part;
}

/** Puts the result of such a part where it belongs in that of the whole. */
export function pasteConv(whole: Float64Array, c: ConvCase, s: number, from: number, part: Float64Array): void {
  const sequence = convSequences(c)[s] as { b: number; from: number };
  const steps = part.length / c.dim;
  const shape = { ...c, batch: 1, seqlen: steps };
  for (let d = 0; d < c.dim; d++) {
    for (let t = 0; t < steps; t++) {
      const at = convIndex(c, sequence.b, d, sequence.from + from + t);
      whole[at] = part[convIndex(shape, 0, d, t)] as number;
    }
  }
}

/** The state of sequence s. */
export function convStateOf({ dim, width }: ConvCase, states: Float64Array, s: number): Float64Array {
  const size = dim * (width - 1);
  return states.slice(s * size, (s + 1) * size);
}
