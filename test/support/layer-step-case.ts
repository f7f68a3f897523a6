import { type MambaLayerStepOptions, mambaLayerStep, mambaLayerStepSync, Tensor } from 'selective-scan';
import type { Form } from './call';
import { relativeError } from './closeness';
import { seeded } from './random';
import { type FloatType, roundTo } from './rounding';

// Named once: inside jest every use of a global is a look-up through its sandbox.
const { exp, log1p, max, sqrt } = Math;

export interface LayerStepSpec {
  batch?: number;
  hidden?: number;
  dim?: number;
  dtRank?: number;
  dstate?: number;
  width?: number;
  dtype?: FloatType;
  convStateDType?: FloatType;
  ssmStateDType?: FloatType;
  /** Of the norm's weight, the convolution's weights and all biases. */
  vectorDType?: FloatType;
  hasBiases?: boolean;
  mixerNormEps?: number;
  slots?: readonly number[];
  poolSize?: number;
  steps?: number;
  seed?: number;
}

type ArrayName = Exclude<
  keyof MambaLayerStepOptions,
  'slots' | 'eps' | 'mixerNormEps' | 'device' | 'stream' | 'signal'
>;

interface CaseArray {
  values: Float64Array; // as their dtype holds them
  dims: number[];
  dtype: FloatType;
}

/** A layer, its states, and the hidden of one step after the other. */
export interface LayerStepCase {
  batch: number;
  hidden: number;
  dim: number;
  dtRank: number;
  dstate: number;
  width: number;
  dtype: FloatType;
  slots: readonly number[] | undefined;
  mixerNormEps: number | undefined;
  arrays: Map<Exclude<ArrayName, 'hidden'>, CaseArray>;
  inputs: CaseArray[];
}

export interface LayerStepResult {
  outs: Float64Array[]; // [batch, hidden] of each step
  residual: Float64Array;
  convState: Float64Array;
  ssmState: Float64Array;
}

export function layerStepCase(spec: LayerStepSpec = {}): LayerStepCase {
  const { batch = 3, hidden = 48, dim = 96, dtRank = 3, dstate = 16, width = 4, dtype = 'float32' } = spec;
  const { convStateDType = 'float32', ssmStateDType = 'float32', vectorDType = 'float32', hasBiases = true } = spec;
  const { slots, poolSize = slots ? batch + 2 : batch, mixerNormEps, steps = 2 } = spec;
  const random = seeded(spec.seed ?? 29);
  const made = (dims: number[], type: FloatType, scale: number, center = 0): CaseArray => {
    const size = dims.reduce((product, length) => product * length, 1);
    const values = Float64Array.from({ length: size }, () => roundTo(type, center + scale * random.normal()));
    return { values, dims, dtype: type };
  };
  const arrays: LayerStepCase['arrays'] = new Map([
    ['residual', made([batch, hidden], 'float32', 1)],
    ['normWeight', made([hidden], vectorDType, 0.2, 1)],
    ['inProj', made([2 * dim, hidden], dtype, 1 / sqrt(hidden))],
    ['convWeight', made([dim, width], vectorDType, 0.5)],
    ['convState', made([poolSize, dim, width - 1], convStateDType, 0.5)],
    ['xProj', made([dtRank + 2 * dstate, dim], dtype, 1 / sqrt(dim))],
    ['dtProj', made([dim, dtRank], dtype, 1 / sqrt(dtRank))],
    ['dtBias', made([dim], 'float32', 1, -3)],
    ['A', made([dim, dstate], 'float32', 0.3, -1)],
    ['D', made([dim], 'float32', 0.5, 1)],
    ['ssmState', made([poolSize, dim, dstate], ssmStateDType, 0.5)],
    ['outProj', made([hidden, dim], dtype, 1 / sqrt(dim))],
  ]);
  if (hasBiases) {
    arrays.set('inProjBias', made([2 * dim], vectorDType, 0.1));
    arrays.set('convBias', made([dim], vectorDType, 0.2));
    arrays.set('outProjBias', made([hidden], vectorDType, 0.1));
  }
  const inputs = Array.from({ length: steps }, () => made([batch, hidden], dtype, 1));
  return { batch, hidden, dim, dtRank, dstate, width, dtype, slots, mixerNormEps, arrays, inputs };
}

/** `rounded`: activations are, between the parts of the layer, and states where they are stored. Else all is float64. */
export function referenceLayerSteps(problem: LayerStepCase, rounded = false): LayerStepResult {
  const round = rounded ? (x: number) => roundTo(problem.dtype, x) : (x: number) => x;
  const { batch, hidden, slots, inputs } = problem;
  const values = (name: Exclude<ArrayName, 'hidden'>) => Float64Array.from(problem.arrays.get(name)?.values ?? []);
  const result = { residual: values('residual'), convState: values('convState'), ssmState: values('ssmState') };
  const outs = inputs.map((input) => {
    const out = new Float64Array(batch * hidden);
    for (let row = 0; row < batch; row++) {
      const slot = slots ? (slots[row] as number) : row;
      const mine = result.residual.subarray(row * hidden, (row + 1) * hidden);
      for (let i = 0; i < hidden; i++) mine[i] = (mine[i] as number) + (input.values[row * hidden + i] as number);
      if (slot >= 0) out.set(stepOfRow(problem, mine, slot, result, round), row * hidden);
    }
    for (const name of rounded ? (['convState', 'ssmState'] as const) : []) {
      const type = problem.arrays.get(name)?.dtype ?? 'float32';
      result[name] = result[name].map((x) => roundTo(type, x));
    }
    return out;
  });
  return { outs, ...result };
}

function stepOfRow(
  { dim, dtRank, dstate, width, mixerNormEps, arrays }: LayerStepCase,
  residual: Float64Array,
  slot: number,
  states: Omit<LayerStepResult, 'outs'>,
  round: (x: number) => number,
): Float64Array {
  const of = (name: Exclude<ArrayName, 'hidden'>) => arrays.get(name)?.values;
  const get = (name: Exclude<ArrayName, 'hidden'>, i: number) => of(name)?.[i] ?? 0;
  const normal = rmsNorm(residual, 1e-5).map((x, i) => round(x * get('normWeight', i)));
  const xz = matrixVector(of('inProj'), normal).map((x, i) => round(x + get('inProjBias', i)));
  const u = xz.slice(0, dim).map((x, d) => {
    const past = states.convState.subarray((slot * dim + d) * (width - 1), (slot * dim + d + 1) * (width - 1));
    let sum = get('convBias', d);
    [...past, x].forEach((value, k) => {
      sum += get('convWeight', d * width + k) * value;
    });
    past.set([...past.subarray(1), x]);
    return round(silu(sum));
  });
  const selected = matrixVector(of('xProj'), u).map(round);
  const parts = [
    selected.slice(0, dtRank),
    selected.slice(dtRank, dtRank + dstate),
    selected.slice(dtRank + dstate),
  ] as const;
  const [dt, B, C] = parts.map((part) => (mixerNormEps === undefined ? part : rmsNorm(part, mixerNormEps).map(round)));
  const delta = matrixVector(of('dtProj'), dt as Float64Array).map((x, d) => softplus(round(x) + get('dtBias', d)));
  const y = u.map((value, d) => {
    let sum = get('D', d) * value;
    for (let n = 0; n < dstate; n++) {
      const at = (slot * dim + d) * dstate + n;
      const step = delta[d] as number;
      const h = exp(step * get('A', d * dstate + n)) * (states.ssmState[at] as number);
      states.ssmState[at] = h + step * (B?.[n] as number) * value;
      sum += (C?.[n] as number) * (states.ssmState[at] as number);
    }
    return round(sum * silu(xz[dim + d] as number));
  });
  return matrixVector(of('outProj'), y).map((x, i) => round(x + get('outProjBias', i)));
}

function rmsNorm(x: Float64Array, eps: number): Float64Array {
  const squares = x.reduce((sum, value) => sum + value * value, 0);
  return x.map((value) => value / sqrt(squares / x.length + eps));
}

function matrixVector(matrix: Float64Array | undefined, x: Float64Array): Float64Array {
  const rows = (matrix?.length ?? 0) / x.length;
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += (matrix?.[row * x.length + i] as number) * (x[i] as number);
    return sum;
  });
}

const silu = (x: number): number => x / (1 + exp(-x));
const softplus = (x: number): number => (x > 20 ? x : log1p(exp(x)));

/** The operands on a device, but for hidden. The caller owns the tensors. */
export function layerStepTensors(problem: LayerStepCase, device: string): Omit<MambaLayerStepOptions, 'hidden'> {
  const entries = [...problem.arrays].map(([name, array]) => [name, tensorOn(device, array)] as const);
  const { mixerNormEps, slots } = problem;
  return {
    ...(Object.fromEntries(entries) as Pick<MambaLayerStepOptions, Exclude<ArrayName, 'hidden'>>),
    ...(mixerNormEps !== undefined && { mixerNormEps }),
    ...(slots && { slots: Int32Array.from(slots) }),
  };
}

export function tensorOn(device: string, { values, dims, dtype }: CaseArray): Tensor {
  using host = Tensor.from(new Float32Array(values), dims, dtype);
  return host.toSync(device);
}

/** All steps of a problem; `slotsAs`: where slots are said. */
export async function callLayerSteps(
  problem: LayerStepCase,
  device: string,
  form: Form = 'promise',
  slotsAs: 'array' | 'device' = 'array',
): Promise<LayerStepResult> {
  const options = layerStepTensors(problem, device);
  if (problem.slots && slotsAs === 'device') {
    using slots = Tensor.from(Int32Array.from(problem.slots), [problem.batch]);
    options.slots = slots.toSync(device);
  }
  const outs: Float64Array[] = [];
  for (const input of problem.inputs) {
    using hidden = tensorOn(device, input);
    const call = { ...options, hidden };
    const { out } = form === 'sync' ? mambaLayerStepSync(call) : await mambaLayerStep(call);
    outs.push(Float64Array.from(await out.toArray()));
    out.dispose();
  }
  const read = async (tensor: Tensor) => Float64Array.from(await tensor.toArray());
  const result = {
    outs,
    residual: await read(options.residual),
    convState: await read(options.convState),
    ssmState: await read(options.ssmState),
  };
  for (const value of Object.values(options)) if (value instanceof Tensor) value.dispose();
  return result;
}

/**
 * A result may be twice as wrong as a plain evaluation that rounds what passes between the parts of the layer to its
 * dtype, and the states to theirs at each step; of float32, as float32 sums of products of both signs make it. `slack`:
 * how many times beyond that.
 */
export function layerStepComplaints(
  problem: LayerStepCase,
  got: LayerStepResult,
  want = referenceLayerSteps(problem),
  slack = 1,
): string[] {
  const plain = referenceLayerSteps(problem, true);
  const stateUnit = (name: 'convState' | 'ssmState') => unit[problem.arrays.get(name)?.dtype ?? 'float32'];
  const found = [
    ...got.outs.map((out, i) => {
      const [wanted, rounded] = [want.outs[i], plain.outs[i]] as [Float64Array, Float64Array];
      return [`out of step ${i}`, relativeError(out, wanted), limitOf(rounded, wanted, unit[problem.dtype])] as const;
    }),
    ['residual', relativeError(got.residual, want.residual), 2 ** -23] as const,
    ...(['convState', 'ssmState'] as const).map((name) => {
      return [name, relativeError(got[name], want[name]), limitOf(plain[name], want[name], stateUnit(name))] as const;
    }),
  ];
  return found.filter(([, error, limit]) => !(error <= slack * limit)).map((row) => row.join(' '));
}

const unit: Record<FloatType, number> = { float32: 2 ** -21, float16: 2 ** -10, bfloat16: 2 ** -7 };

function limitOf(plain: Float64Array, want: Float64Array, least: number): number {
  return max(least, 2 * relativeError(plain, want));
}
