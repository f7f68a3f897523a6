import { Tensor } from 'selective-scan';

export type FloatType = 'float32' | 'float16' | 'bfloat16';

export interface ScanShape {
  readonly batch: number;
  readonly dim: number;
  readonly seqlen: number;
  readonly dstate: number;
  readonly dtype: FloatType;
  readonly layout: 'bdl' | 'bld';
  readonly z: boolean;
}

export interface ScanInputs {
  u: Tensor;
  delta: Tensor;
  A: Tensor;
  B: Tensor;
  C: Tensor;
  D: Tensor;
  deltaBias: Tensor;
  z?: Tensor;
}

/** Real work of one scan: its elements, the bytes that it must move and the special functions that it must evaluate. */
export function workOf({ batch, dim, seqlen, dstate, dtype, z }: ScanShape) {
  const elements = batch * dim * seqlen;
  const bytesPerValue = dtype === 'float32' ? 4 : 2;
  const activations = elements * bytesPerValue * (z ? 4 : 3);
  const matrices = 2 * batch * dstate * seqlen * bytesPerValue + dim * (dstate + 2) * 4;
  // An exponential a state, two functions for softplus, and for silu one (tanh) or in float32 two.
  const functions = elements * (dstate + 2 + (z ? (dtype === 'float32' ? 2 : 1) : 0));
  return { elements, bytes: activations + matrices, functions };
}

// A block of random values, repeated to the length asked for: making every value anew would take longer than the
// measurement, and the device does not know the difference.
const blockLength = (1 << 20) + 7;

function randomBlock(length: number, seed: number, make: (random: number) => number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return make(state / 2 ** 32);
  });
}

export const centred = (random: number) => 2 * random - 1;

/** A tensor of numbers made from random ones in [0, 1). */
export function randomTensor(
  device: string,
  seed: number,
  dims: readonly number[],
  dtype: FloatType,
  of: (random: number) => number,
): Tensor {
  const length = dims.reduce((product, size) => product * size, 1);
  // Rounded once, as a block, and repeated in bits.
  const block = randomBlock(Math.min(length, blockLength), seed, of);
  using rounded = Tensor.from(block, [block.length], dtype);
  const { data } = rounded;
  const all = dtype === 'float32' ? new Float32Array(length) : new Uint16Array(length);
  for (let start = 0; start < length; start += data.length) all.set(data.subarray(0, length - start), start);
  using host = Tensor.from(all, dims, dtype);
  return host.toSync(device);
}

/** A near -(n + 1), as a Mamba layer has it. */
export function stateMatrix(device: string, dim: number, dstate: number): Tensor {
  const A = Float32Array.from({ length: dim * dstate }, (_, i) => -((i % dstate) + 1) * (1 + 0.1 * Math.sin(i)));
  return Tensor.from(A, [dim, dstate]).toSync(device);
}

/** Before softplus: step sizes of a few hundredths. */
export const deltaBias = (random: number) => -4 + centred(random);

/** Inputs as a Mamba layer has them. */
export function makeInputs({ batch, dim, seqlen, dstate, dtype, layout, z }: ScanShape, device: string): ScanInputs {
  const activation = layout === 'bdl' ? [batch, dim, seqlen] : [batch, seqlen, dim];
  const matrix = layout === 'bdl' ? [batch, dstate, seqlen] : [batch, seqlen, dstate];
  const make = (seed: number, dims: number[], type: FloatType, of: (random: number) => number): Tensor =>
    randomTensor(device, seed, dims, type, of);
  return {
    u: make(1, activation, dtype, centred),
    delta: make(2, activation, dtype, (random) => 1.5 * centred(random)),
    A: stateMatrix(device, dim, dstate),
    B: make(3, matrix, dtype, centred),
    C: make(4, matrix, dtype, centred),
    D: make(5, [dim], 'float32', centred),
    deltaBias: make(6, [dim], 'float32', deltaBias),
    ...(z && { z: make(7, activation, dtype, centred) }),
  };
}

export function disposeInputs(inputs: object): void {
  for (const tensor of Object.values(inputs)) (tensor as Tensor).dispose();
}
