import type { Tensor } from 'selective-scan';
import * as ops from 'selective-scan';
import { outBound, relativeError } from './closeness';
import { convCase, convComplaints, convOptions, place } from './conv-case';
import { convUpdateCase, convUpdateComplaints, convUpdateOptions } from './conv-update-case';
import { conv, convUpdate, type Forms, lookUp } from './failures';
import { slack, valuesOf } from './fuzz-verdict';
import { layerStepCase, layerStepComplaints, layerStepTensors, referenceLayerSteps, tensorOn } from './layer-step-case';
import { linearCase, linearComplaints, linearOptions } from './linear-case';
import { type Random, seeded } from './random';
import { type FloatType, roundTo } from './rounding';
import { referenceRmsNorm, referenceSoftmax } from './row-references';
import { normals, placed } from './rows';
import { rowOf, sampleCase, sampleOptions } from './sample-case';
import { drawable, logProbability, uniformOf } from './sample-reference';

/** What a problem is made from. */
export interface OpSpec {
  batch: number; // 0 or more
  dim: number; // these three 1 or more
  length: number;
  other: number;
  dtype: FloatType;
  outDType: FloatType;
  /** Whether operands that may be float32 beside another dtype are. */
  isMixed: boolean;
  flags: readonly boolean[];
  seed: number;
}

/** A right call, and what it says of itself for faults that make it wrong. */
export interface OpProblem {
  forms: Forms;
  options: Record<string, any>;
  required: readonly string[];
  /** An axis of an operand whose size other operands tell too. */
  axes: Readonly<Record<string, number>>;
  inPlace: readonly string[];
  /** Options that are numbers, and values that each of them may not have. */
  numbers?: Readonly<Record<string, readonly number[]>>;
  flags?: readonly string[];
  /** Options of a few names, and the code of any other. */
  names?: Readonly<Record<string, 'ERR_OPTION' | 'ERR_DTYPE'>>;
  /** Integers that the host reads, and values that they may not have. */
  integers?: Readonly<Record<string, readonly Int32Array[]>>;
  judge(result: any, operands: Readonly<Record<string, unknown>>): Promise<string[]>;
}

type Maker = (spec: OpSpec, device: string) => OpProblem;

const beyond = 2 ** 31 - 1;
const notEps = [-1e-9, Number.POSITIVE_INFINITY];
const floatOr = ({ isMixed, dtype }: OpSpec): FloatType => (isMixed ? 'float32' : dtype);

/** The rows of a batch in slots of a pool that is larger, now and then one left out. */
function slotsOf({ batch, seed }: OpSpec): number[] {
  return Array.from({ length: batch }, (_, row) => (seed % 3 === row ? -1 : batch - row));
}

const wrongSlots = (rows: number): readonly Int32Array[] => [
  new Int32Array(rows + 1),
  Int32Array.from({ length: Math.max(rows, 1) }, () => -2),
  Int32Array.from({ length: Math.max(rows, 1) }, () => beyond),
];

const causalConv1d: Maker = (spec, device) => {
  const { batch, dim, length, dtype, flags, seed } = spec;
  const [isPacked, silu, bias, initialState, isBld] = flags as boolean[];
  const problem = convCase({
    ...{ batch: isPacked ? 1 : batch, dim, seqlen: length - 1, width: 2 + (spec.other % 7), dtype, seed },
    weightDType: floatOr(spec),
    layout: isBld ? 'bld' : 'bdl',
    ...{ silu: !!silu, bias: !!bias, initialState: !!initialState },
    ...(isPacked && { cuSeqlens: [0, seed % length, length - 1] }),
  });
  return {
    forms: conv,
    options: convOptions(problem, device),
    required: ['x', 'weight'],
    axes: { x: isBld ? 2 : 1, weight: 0, bias: 0, initialState: 1 },
    inPlace: [],
    flags: ['returnFinalState'],
    names: { activation: 'ERR_OPTION', layout: 'ERR_OPTION' },
    integers: { cuSeqlens: [Int32Array.of(0), Int32Array.of(0, length), Int32Array.of(1, length - 1)] },
    judge: async ({ out, finalState }) =>
      convComplaints(problem, { out: await valuesOf(out), finalState: await valuesOf(finalState) }, slack),
  };
};

const causalConv1dUpdate: Maker = (spec, device) => {
  const { batch, dim, dtype, flags, seed } = spec;
  const [hasSlots, silu, bias, areTensors, hasTokenAxis] = flags as boolean[];
  const problem = convUpdateCase({
    ...{ batch, dim, dtype, weightDType: floatOr(spec), width: 2 + (spec.other % 7), seed },
    ...{ tokens: hasTokenAxis ? 1 + (spec.length % 9) : 1, silu: !!silu, bias: !!bias },
    ...(hasSlots && { slots: slotsOf(spec), poolSize: batch + 1 }),
  });
  return {
    forms: convUpdate,
    options: convUpdateOptions(problem, device, {
      hasTokenAxis: !!hasTokenAxis,
      slotsAs: areTensors ? 'device' : 'array',
    }),
    required: ['state', 'x', 'weight'],
    axes: { x: hasTokenAxis ? 2 : 1, weight: 0, bias: 0, state: 1 },
    inPlace: ['state'],
    names: { activation: 'ERR_OPTION' },
    integers: { slots: wrongSlots(batch) },
    judge: async ({ out }, { state }) =>
      convUpdateComplaints(problem, { out: await valuesOf(out), pool: await valuesOf(state) }, slack),
  };
};

const embedding: Maker = ({ dim, length, other, dtype, outDType, flags, seed }, device) => {
  const random = seeded(seed);
  const weight = normals(other * dim, dtype, seed);
  const ids = Int32Array.from({ length: length - 1 }, () => random.integer(0, other - 1));
  const want = Float64Array.from({ length: ids.length * dim }, (_, i) =>
    roundTo(outDType, weight[(ids[Math.floor(i / dim)] as number) * dim + (i % dim)] as number),
  );
  const wrongIds = [-1, other, beyond].map((id) => Int32Array.of(0, id));
  return {
    forms: lookUp,
    options: {
      weight: place(weight, [other, dim], dtype, device),
      ids: flags[0] ? placed(ids, [1, length - 1], 'int32', flags[1] ? 'cpu' : device) : ids,
      dtype: outDType,
    },
    required: ['weight', 'ids'],
    axes: {},
    inPlace: [],
    names: { dtype: 'ERR_DTYPE' },
    integers: { ids: wrongIds },
    judge: async ({ out }) => {
      const got = await valuesOf(out);
      return relativeError(got, want) === 0 ? [] : [`out: ${got.join(' ')} instead of ${want.join(' ')}`];
    },
  };
};

const rmsNorm: Maker = (spec, device) => {
  const { batch, dim, dtype, outDType, flags, seed } = spec;
  const [hasResidual, returnResidual, hasEps] = flags as boolean[];
  const lead = flags[3] ? [batch, 2] : [batch];
  const count = lead.reduce((product, size) => product * size, dim);
  const x = normals(count, dtype, seed);
  const residual = hasResidual ? normals(count, 'float32', seed + 1) : undefined;
  const weight = normals(dim, floatOr(spec), seed + 2);
  const eps = hasEps ? 0.25 : undefined;
  const want = referenceRmsNorm(x, residual, weight, eps ?? 1e-5);
  return {
    forms: { promise: ops.rmsNorm, sync: ops.rmsNormSync },
    options: {
      x: placed(x, [...lead, dim], dtype, device),
      weight: placed(weight, [dim], floatOr(spec), device),
      ...(residual && { residual: placed(residual, [...lead, dim], 'float32', device) }),
      ...{ eps, dtype: outDType, returnResidual },
    },
    required: ['x', 'weight'],
    axes: { x: lead.length, weight: 0, residual: lead.length },
    inPlace: [],
    numbers: { eps: notEps },
    flags: ['returnResidual'],
    names: { dtype: 'ERR_DTYPE' },
    judge: async (result) => {
      const sum = returnResidual ? await valuesOf(result.residual) : want.sum.map(Math.fround);
      const isSum = relativeError(sum, want.sum.map(Math.fround)) === 0;
      return [...closeTo(await valuesOf(result.out), want.out, outDType), ...(isSum ? [] : ['residual: not the sum'])];
    },
  };
};

const softmax: Maker = ({ batch, length, dtype, outDType, flags, seed }, device) => {
  const isLog = !!flags[0];
  const x = normals(batch * length, dtype, seed, flags[1] ? 100 : 1);
  return {
    forms: isLog
      ? { promise: ops.logSoftmax, sync: ops.logSoftmaxSync }
      : { promise: ops.softmax, sync: ops.softmaxSync },
    options: { x: placed(x, [batch, length], dtype, device), dtype: outDType },
    required: ['x'],
    axes: {},
    inPlace: [],
    names: { dtype: 'ERR_DTYPE' },
    judge: async ({ out }) => closeTo(await valuesOf(out), referenceSoftmax(x, length, isLog), outDType),
  };
};

/** Where a result is a few numbers, the bound may be less than what rounding them costs. */
function closeTo(got: Float64Array, want: Float64Array, dtype: FloatType): string[] {
  const rounded = want.map((value) => roundTo(dtype, value));
  const limit = slack * Math.max(outBound[dtype], relativeError(rounded, want));
  const error = relativeError(got, want);
  return error <= limit ? [] : [`out: error ${error} above ${limit}`];
}

const linear: Maker = ({ batch, dim, other, dtype, outDType, isMixed, flags, seed }, device) => {
  const weightDType = isMixed ? outDType : dtype;
  const biasDType = flags[0] ? (flags[1] ? 'float32' : weightDType) : undefined;
  const split = flags[2] ? [seed % other, other - (seed % other)] : undefined;
  const problem = linearCase({ rows: batch, in: dim - 1, out: other, dtype, weightDType, biasDType, outDType, seed });
  return {
    forms: { promise: ops.linear, sync: ops.linearSync } as Forms,
    options: { ...linearOptions(problem, device), split },
    required: ['x', 'weight'],
    axes: { x: 1, weight: 1 },
    inPlace: [],
    names: { dtype: 'ERR_DTYPE', split: 'ERR_OPTION' },
    judge: async ({ out, outs = [out] }) => {
      const parts = await Promise.all((outs as Tensor[]).map(async (part) => [...(await part.toArray())]));
      const sizes = split ?? [other];
      const rows = Array.from({ length: batch }, (_, r) =>
        parts.flatMap((part, i) => part.slice(r * (sizes[i] as number), (r + 1) * (sizes[i] as number))),
      );
      return linearComplaints(problem, rows.flat());
    },
  };
};

const temperatures = [undefined, 0, 1e-300, 1e-5, 0.7, 1e300];

const sample: Maker = ({ batch, length, dtype, flags, seed }, device) => {
  const [hasTopK, hasTopP, hasMinP, hasPenalty, returnLogprobs] = flags as boolean[];
  const random: Random = seeded(seed);
  const problem = sampleCase({
    ...{ batch, vocab: length, dtype, seed, temperature: temperatures[seed % temperatures.length] },
    ...(hasTopK && { topK: random.pick([0, 1, 3, 2 ** 31, 2 ** 53 - 1]) }),
    ...(hasTopP && { topP: random.uniform() }),
    ...(hasMinP && { minP: random.uniform() }),
    ...(hasPenalty && { repetitionPenalty: random.pick([0.5, 1.3, 2 ** 100, 2 ** -100]) }),
  });
  return {
    forms: { promise: ops.sample, sync: ops.sampleSync },
    options: { ...sampleOptions(problem, device), returnLogprobs },
    required: ['logits'],
    axes: { seen: 1, random: 1 },
    inPlace: ['seen', 'random'],
    numbers: {
      ...{ temperature: [-1], topK: [-1, 0.5, 2 ** 53], topP: [-0.1, 1.1], minP: [-0.1, 1.1] },
      repetitionPenalty: [0, -1, 1e39, 1e-39],
    },
    flags: ['returnLogprobs'],
    judge: async (result, operands) => {
      const tokens = await valuesOf(result.tokens);
      const logprobs = returnLogprobs ? await valuesOf(result.logprobs) : undefined;
      const counters = await valuesOf(operands.random);
      return Array.from(tokens, (token, b) => {
        const { logits, seen, random } = rowOf(problem, b);
        const raised = problem.rule.temperature === 0 ? 0 : 1;
        if (counters[3 * b + 2] !== (random[2] as number) + raised) return [`row ${b}: the counter is wrong`];
        const allowed = drawnTokens(problem.rule, logits, seen, random);
        if (!allowed.has(token)) return [`row ${b}: ${token}, but expected one of ${[...allowed].join(', ')}`];
        const off = logprobs ? Math.abs((logprobs[b] as number) - logProbability(logits, token)) : 0;
        return off < 1e-4 ? [] : [`row ${b}: the logarithm is off by ${off}`];
      }).flat();
    },
  };
};

function drawnTokens(
  rule: ops.SampleRule,
  logits: Float64Array,
  seen: Int32Array | undefined,
  random: number[],
): ReadonlySet<number> {
  const greedy = { temperature: 1, repetitionPenalty: rule.repetitionPenalty, topK: 1 };
  return rule.temperature === 0 ? drawable(logits, greedy, seen)(0) : drawable(logits, rule, seen)(uniformOf(random));
}

const mambaLayerStep: Maker = (spec, device) => {
  const { batch, dim, length, other, dtype, outDType, flags, seed } = spec;
  const problem = layerStepCase({
    ...{ batch, hidden: length, dim, dtRank: 1 + (other % 3), dstate: other, width: 2 + (seed % 3), steps: 1, seed },
    ...{ dtype, vectorDType: floatOr(spec), convStateDType: floatOr(spec), ssmStateDType: outDType },
    ...{ hasBiases: !!flags[0], mixerNormEps: flags[1] ? 1e-5 : undefined },
    ...(flags[2] && { slots: slotsOf(spec), poolSize: batch + 1 }),
  } as Parameters<typeof layerStepCase>[0]);
  const hiddenOf = { hidden: tensorOn(device, problem.inputs[0] as (typeof problem.inputs)[number]) };
  return {
    forms: { promise: ops.mambaLayerStep, sync: ops.mambaLayerStepSync },
    options: { ...layerStepTensors(problem, device), ...hiddenOf },
    required: [
      'hidden',
      'residual',
      'inProj',
      'convWeight',
      'convState',
      'xProj',
      'dtProj',
      'A',
      'ssmState',
      'outProj',
    ],
    axes: {
      ...{ hidden: 1, residual: 1, normWeight: 0, inProj: 1, convWeight: 0, convBias: 0, convState: 1, xProj: 1 },
      ...{ dtProj: 0, dtBias: 0, A: 0, D: 0, ssmState: 1, outProj: 1 },
    },
    inPlace: ['residual', 'convState', 'ssmState'],
    numbers: { eps: notEps, mixerNormEps: notEps },
    integers: { slots: wrongSlots(batch) },
    judge: async ({ out }, { residual, convState, ssmState }) => {
      // The result first: it waits for the stream of the call, and what the call wrote in place waits for its own queue.
      const outs = [await valuesOf(out)];
      const states = { convState: await valuesOf(convState), ssmState: await valuesOf(ssmState) };
      const got = { outs, residual: await valuesOf(residual), ...states };
      return layerStepComplaints(problem, got, referenceLayerSteps(problem), slack);
    },
  };
};

export const opProblems: Readonly<Record<string, Maker>> = {
  causalConv1d,
  causalConv1dUpdate,
  embedding,
  linear,
  mambaLayerStep,
  rmsNorm,
  sample,
  softmax,
};
