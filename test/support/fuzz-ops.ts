import fc from 'fast-check';
import { Tensor } from 'selective-scan';
import type { Form } from './call';
import { gpus } from './devices';
import { impostor } from './fuzz-arrays';
import { choose, type Draft, type Effect, harmless, isTensor, nonsense, put } from './fuzz-draft';
import { type OpProblem, type OpSpec, opProblems } from './fuzz-op-problems';
import { faultsOfAccess, faultsOfOptions, notFlags, takeOnRead } from './fuzz-options';
import { complaintsAboutDraft } from './fuzz-verdict';

/** A call of an op of tensors as plain data. */
export interface OpPlan {
  op: string;
  form: Form;
  spec: OpSpec;
  faults: { fault: string; target: number; n: number }[];
}

type OpFault = (draft: Draft, problem: OpProblem, target: string, n: number) => Effect;

const zeros = (like: Tensor, dims: readonly number[], dtype = like.dtype): Tensor => {
  const length = dims.reduce((product, size) => product * size, 1);
  const host = Tensor.from(dtype === 'int32' ? new Int32Array(length) : new Float32Array(length), dims, dtype);
  return like.device === 'cpu' ? host : host.toSync(like.device);
};

/** What can be wrong with an operand, which is a tensor. */
const faultsOfTensors: Record<
  string,
  (tensor: Tensor, name: string, n: number, problem: OpProblem) => [unknown, Effect]
> = {
  impostor: (tensor, _name, n) => [
    choose([new Proxy(tensor, {}), Object.create(tensor), { ...tensor }, ...nonsense], n),
    ['ERR_DTYPE'],
  ],
  typedArray: (tensor) => [new Float32Array(tensor.size), ['ERR_DTYPE', 'ERR_DEVICE']],
  rank: (tensor, name) => (name === 'ids' ? [tensor, harmless] : [zeros(tensor, []), ['ERR_SHAPE']]),
  size: (tensor, name, _n, { axes, options }) => {
    if (axes[name] === undefined) return [tensor, harmless];
    // An amount of the operand's own, so that no two such faults make up a right call.
    const surplus = 1 + Object.keys(options).indexOf(name);
    return [
      zeros(
        tensor,
        tensor.dims.map((size, i) => (i === axes[name] ? size + surplus : size)),
      ),
      ['ERR_SHAPE'],
    ];
  },
  dtype: (tensor) => [zeros(tensor, tensor.dims, tensor.dtype === 'int32' ? 'float32' : 'int32'), ['ERR_DTYPE']],
  disposed: (tensor) => {
    tensor.dispose();
    return [tensor, ['ERR_DISPOSED']];
  },
  elsewhere: (tensor, name, _n, { axes }) => {
    const other = tensor.device === 'cpu' ? gpus[0] : 'cpu';
    if (other === undefined || tensor.disposed || axes[name] === undefined) return [tensor, harmless];
    return [tensor.toSync(other), ['ERR_DEVICE']];
  },
};

/** What can be wrong with the rest of a call. */
const faultsOfRest: Record<string, OpFault> = {
  missing: (draft, { required }, _target, n) => {
    put(draft, choose(required, n), undefined);
    return ['ERR_DTYPE'];
  },
  alias: (draft, { inPlace }, _target, n) => {
    if (inPlace.length === 0) return harmless;
    const written = choose(inPlace, n);
    const others = Object.entries(draft.operands).filter(([name, value]) => name !== written && isTensor(value));
    const own = draft.operands[written];
    if (!isTensor(own) || own.disposed || others.length === 0) return harmless;
    const [name, other] = choose(others, n >> 3) as [string, Tensor];
    const view = other.size === own.size ? own.reshape(other.dims) : own;
    draft.tensors.push(view);
    put(draft, name, view);
    return ['ERR_OPTION', 'ERR_SHAPE', 'ERR_DTYPE'];
  },
  number: (draft, { numbers = {} }, _target, n) => {
    const names = Object.keys(numbers);
    if (names.length === 0) return harmless;
    const name = choose(names, n);
    const wrong = [...(numbers[name] as number[]), Number.NEGATIVE_INFINITY, '1', true, [1], ...nonsense];
    draft.given[name] = choose(name === 'topK' ? [...wrong, Number.POSITIVE_INFINITY] : wrong, n >> 3);
    return ['ERR_OPTION'];
  },
  flag: (draft, { flags = [] }, _target, n) => {
    if (flags.length === 0) return harmless;
    draft.given[choose(flags, n)] = choose(notFlags, n >> 3);
    return ['ERR_OPTION'];
  },
  name: (draft, { names = {} }, _target, n) => {
    if (Object.keys(names).length === 0) return harmless;
    const [name, code] = choose(Object.entries(names), n);
    draft.given[name] = choose(['SiLU', 'int32', 'BDL', 0, ...nonsense], n >> 2);
    // Proxies of an array are one to Array.isArray, and a split of no sizes is as wrong as any other.
    return [code];
  },
  integers: (draft, { integers = {} }, _target, n) => {
    const names = Object.keys(integers).filter((name) => draft.given[name] !== undefined);
    if (names.length === 0) return harmless;
    const name = choose(names, n);
    const isType = n % 2 === 0;
    const wrong = choose(integers[name] as Int32Array[], n >> 3);
    draft.given[name] = isType ? impostor(wrong, n >> 1) : n % 4 === 1 ? Tensor.from(wrong, [wrong.length]) : wrong;
    delete draft.operands[name];
    return isType ? ['ERR_DTYPE'] : ['ERR_SHAPE'];
  },
};

const general = ['device', 'unknown', 'signal', 'stream', 'meanwhile', 'throwing', 'proxied', 'noOptions'];
/** In the order in which they are put into a call: those of access last, since they wrap what the others made. */
const faultNames = [...Object.keys(faultsOfTensors), ...Object.keys(faultsOfRest), 'taking', ...general];

const spec: fc.Arbitrary<OpSpec> = fc.record({
  batch: fc.nat(3),
  dim: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 9 }) },
    { weight: 1, arbitrary: fc.integer({ min: 10, max: 70 }) },
  ),
  length: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 9 }) },
    { weight: 1, arbitrary: fc.integer({ min: 10, max: 70 }) },
  ),
  other: fc.integer({ min: 1, max: 18 }),
  dtype: fc.constantFrom('float32', 'float16', 'bfloat16'),
  outDType: fc.constantFrom('float32', 'float16', 'bfloat16'),
  isMixed: fc.boolean(),
  flags: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  seed: fc.nat(),
});

// Of each kind one, for a second one of the same could undo the first.
const kindOf = (fault: string): string =>
  fault in faultsOfTensors ? 'tensor' : faultsOfAccess.has(fault) ? 'access' : fault;
const faults = fc.uniqueArray(
  fc.record({ fault: fc.constantFrom(...faultNames), target: fc.nat(20), n: fc.nat(2 ** 12) }),
  { maxLength: 3, selector: ({ fault, target }) => (kindOf(fault) === 'tensor' ? `tensor ${target}` : kindOf(fault)) },
);

export const opPlans: fc.Arbitrary<OpPlan> = fc.record({
  op: fc.constantFrom(...Object.keys(opProblems)),
  form: fc.constantFrom('promise', 'sync'),
  spec,
  faults: fc.oneof({ weight: 1, arbitrary: fc.constant([]) }, { weight: 2, arbitrary: faults }),
}) as fc.Arbitrary<OpPlan>;

/** What is wrong with how a call went; nothing if it is right or failed with a code that fits what is wrong with it. */
export async function complaintsAboutOp(plan: OpPlan, device: string): Promise<string[]> {
  const problem = (opProblems[plan.op] as (typeof opProblems)[string])(plan.spec, device);
  const operands = Object.fromEntries(Object.entries(problem.options).filter(([, value]) => isTensor(value)));
  const draft: Draft = {
    ...{ op: plan.op, forms: problem.forms, form: plan.form, device, areTensors: true },
    ...{ batch: 1, seqlen: plan.spec.length, operands, inPlace: problem.inPlace, given: { ...problem.options } },
    ...{ meanwhile: [], mayAbort: false, tensors: Object.values(operands) as Tensor[] },
  };
  const inOrder = [...plan.faults].sort((a, b) => faultNames.indexOf(a.fault) - faultNames.indexOf(b.fault));
  const codes = new Set<string>(inOrder.flatMap((each) => applied(each, draft, problem)));
  return complaintsAboutDraft(draft, codes, (result) => problem.judge(result, draft.operands));
}

function applied({ fault, target, n }: OpPlan['faults'][number], draft: Draft, problem: OpProblem): Effect {
  const names = Object.keys(draft.operands);
  const name = names[target];
  const onTensor = faultsOfTensors[fault];
  if (onTensor) {
    const tensor = name === undefined ? undefined : draft.operands[name];
    if (name === undefined || !isTensor(tensor)) return harmless;
    const [value, effect] = onTensor(tensor, name, n, problem);
    if (isTensor(value)) draft.tensors.push(value);
    put(draft, name, value);
    return effect;
  }
  const ofRest = faultsOfRest[fault];
  if (ofRest) return ofRest(draft, problem, name ?? '', n);
  if (fault === 'taking') return takeOnRead(draft, draft.given, choose(Object.keys(draft.given), n >> 4), n);
  return (faultsOfOptions[fault] as (typeof faultsOfOptions)[string])(draft, name ?? '', n);
}
