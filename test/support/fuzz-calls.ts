import fc from 'fast-check';
import { type Form, fitsTypedArrays, tensorOptions, typedArrayOptions } from './call';
import { scan, stateUpdate } from './failures';
import { faultsOfOperands } from './fuzz-arrays';
import { type Draft, type Fault, isTensor } from './fuzz-draft';
import { faultsOfAccess, faultsOfOptions } from './fuzz-options';
import { type CaseSpec, randomCase } from './random-case';
import type { ScanCase } from './scan-case';
import { type UpdateCase, updateCase, updateOptions } from './update-case';

/** A call as plain data, so that a failing one can be printed and made again. */
export interface CallPlan {
  op: 'scan' | 'update';
  form: Form;
  asTensors: boolean;
  /** Whether dims are given with tensors too. */
  saysDims: boolean;
  returnsState: boolean;
  spec: CaseSpec;
  slots: { of: number; given: boolean; asTensor: boolean };
  /** Values that are no finite numbers, and where. */
  poison: { operand: 'u' | 'delta' | 'B' | 'C' | 'z' | 'initialState'; at: number; value: number }[];
  faults: FaultPlan[];
}

interface FaultPlan {
  fault: string;
  target: string;
  n: number;
}

const targets = ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState', 'state'] as const;
const allFaults: Readonly<Record<string, Fault>> = { ...faultsOfOperands, ...faultsOfOptions };
const faultNames = Object.keys(allFaults);

const n = fc.nat(2 ** 12);
const operandFault = fc.record({
  fault: fc.constantFrom(...Object.keys(faultsOfOperands)),
  target: fc.constantFrom(...targets),
  n,
});
const optionFault = fc
  .record({ fault: fc.constantFrom(...Object.keys(faultsOfOptions)), n })
  .map(({ fault, n }): FaultPlan => ({ fault, target: faultsOfAccess.has(fault) ? 'access' : fault, n }));
const faults = fc.uniqueArray(fc.oneof(operandFault, optionFault), { maxLength: 3, selector: ({ target }) => target });

const tiny = { groups: 3, channels: 4, seqlen: 7, dstate: 5 };
const sizes = (largest: typeof tiny, batches: number) =>
  fc.record({
    batch: fc.nat(batches),
    groups: fc.integer({ min: 1, max: largest.groups }),
    channels: fc.integer({ min: 1, max: largest.channels }),
    seqlen: fc.integer({ min: 1, max: largest.seqlen }),
    dstate: fc.integer({ min: 1, max: largest.dstate }),
  });
const someSizes = fc.oneof(
  { weight: 40, arbitrary: sizes(tiny, 3) },
  { weight: 1, arbitrary: sizes({ groups: 3, channels: 11, seqlen: 70, dstate: 19 }, 1) },
);

const spec = fc
  .record({
    sizes: someSizes,
    cuts: fc.option(fc.array(fc.nat(100), { maxLength: 3 }), { freq: 3, nil: undefined }),
    dtype: fc.constantFrom('float32', 'float32', 'float16', 'bfloat16'),
    layout: fc.constantFrom('bdl', 'bld'),
    seed: fc.nat(),
    flags: fc.record({
      ...{ complex: fc.boolean(), constantB: fc.boolean(), constantC: fc.boolean(), explicitGroups: fc.boolean() },
      ...{ deltaSoftplus: fc.boolean(), D: fc.boolean(), z: fc.boolean(), deltaBias: fc.boolean() },
      ...{ initialState: fc.boolean() },
    }),
  })
  .map(({ sizes: { channels, ...sizes }, cuts, flags, ...rest }): CaseSpec => {
    const dim = sizes.groups * channels;
    const inner = cuts?.map((cut) => cut % (sizes.seqlen + 1)).sort((a, b) => a - b);
    const packing = inner ? { batch: 1, cuSeqlens: [0, ...inner, sizes.seqlen] } : { cuSeqlens: undefined };
    return { ...sizes, dim, ...packing, ...flags, ...rest, deltaRange: [0, 0.5] } as CaseSpec;
  });

const poison = fc.record({
  operand: fc.constantFrom('u', 'delta', 'B', 'C', 'z', 'initialState'),
  at: fc.nat(1000),
  value: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
});

export const callPlans: fc.Arbitrary<CallPlan> = fc
  .record({
    op: fc.constantFrom('scan', 'scan', 'scan', 'update'),
    form: fc.constantFrom('promise', 'sync'),
    asTensors: fc.boolean(),
    saysDims: fc.boolean(),
    returnsState: fc.boolean(),
    spec,
    slots: fc.record({ of: fc.nat(3), given: fc.boolean(), asTensor: fc.boolean() }),
    poison: fc.oneof(
      { weight: 6, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(poison, { maxLength: 2 }) },
    ),
    faults: fc.oneof({ weight: 1, arbitrary: fc.constant([]) }, { weight: 2, arbitrary: faults }),
  })
  .map((plan): CallPlan => {
    const { op, asTensors, spec } = plan as CallPlan;
    const hasArrays = asTensors || op === 'update' || fitsTypedArrays(spec);
    return { ...plan, spec: hasArrays ? spec : { ...spec, dtype: 'float32' } } as CallPlan;
  });

/** The problem that a call poses before anything is made wrong with it. */
export function problemOf(plan: CallPlan): ScanCase {
  const problem = randomCase(plan.spec);
  for (const { operand, at, value } of plan.poison) {
    const values = problem[operand];
    if (values && values.length > 0) values[at % values.length] = value;
  }
  return problem;
}

/** Updates are of one token or a few, and know no packing, no complex A and no constant B and C. */
export function updateOf({ spec, slots }: CallPlan): UpdateCase {
  const { batch, seqlen } = spec;
  const rows = Array.from({ length: batch }, (_, row) => (slots.of === row ? -1 : batch + slots.of - 1 - row));
  return updateCase({
    ...spec,
    ...{ cuSeqlens: undefined, complex: false, constantB: false, constantC: false, initialState: false },
    tokens: seqlen > 7 ? 2 : seqlen,
    stateDType: (['float32', 'float16', 'bfloat16'] as const)[spec.seed % 3] ?? 'float32',
    ...(slots.given && { slots: rows, poolSize: batch + slots.of }),
  });
}

export interface PreparedCall {
  draft: Draft;
  /** With which codes it has to fail; none if it has to be right. */
  codes: ReadonlySet<string>;
}

const operandNames: ReadonlySet<string> = new Set(targets);

/** The arguments of a call with its faults, and what they have to lead to. */
export function prepareCall(plan: CallPlan, device: string): PreparedCall {
  const given = (plan.op === 'scan' ? scanOptions(plan, device) : updateArguments(plan, device)) as any;
  const draft: Draft = {
    op: plan.op,
    forms: plan.op === 'scan' ? scan : stateUpdate,
    form: plan.form,
    device,
    areTensors: isTensor(given.u),
    batch: plan.spec.batch,
    seqlen: plan.spec.seqlen,
    operands: Object.fromEntries(Object.entries(given).filter(([name]) => operandNames.has(name))),
    inPlace: ['state'],
    given,
    meanwhile: [],
    mayAbort: false,
    tensors: Object.values(given).filter((value) => isTensor(value)),
  };
  const inOrder = [...plan.faults].sort((a, b) => faultNames.indexOf(a.fault) - faultNames.indexOf(b.fault));
  const effects = inOrder.map(({ fault, target, n }) => (allFaults[fault] as Fault)(draft, target, n));
  return { draft, codes: new Set(effects.flat()) };
}

function scanOptions(plan: CallPlan, device: string): object {
  const problem = problemOf(plan);
  const { batch, dim, seqlen, dstate, groups } = problem;
  const flags = { returnLastState: plan.returnsState, batchInvariant: plan.spec.seed % 2 === 0 };
  if (!plan.asTensors) return { ...typedArrayOptions(problem, device), ...flags };
  const dims = plan.saysDims && { dims: { batch, dim, seqlen, dstate, groups } };
  return { ...tensorOptions(problem, device).options, ...flags, ...dims };
}

function updateArguments(plan: CallPlan, device: string): object {
  const problem = updateOf(plan);
  return updateOptions(problem, device, {
    hasTokenAxis: problem.scan.seqlen > 1 || plan.saysDims,
    slotsAs: plan.slots.asTensor ? 'cpu' : 'array',
    returnStates: plan.returnsState,
  });
}

/** Makes the call; what it throws becomes a rejection, and a promise form that throws is told from one that rejects. */
export async function makeCall({ forms, form, given, meanwhile }: Draft): Promise<any> {
  const call: (options: any) => any = forms[form];
  let result: any;
  try {
    result = call(given);
  } catch (error) {
    if (form === 'sync') throw error;
    throw new Error('the promise form threw instead of rejecting', { cause: error });
  }
  for (const act of meanwhile) act();
  return result;
}
