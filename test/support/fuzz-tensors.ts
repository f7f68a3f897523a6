import fc from 'fast-check';
import { type DType, Tensor } from 'selective-scan';
import { disguised, impostor, type Numbers, takeMemory } from './fuzz-arrays';
import { choose, type Effect, fail, harmless, nonsense, onRead } from './fuzz-draft';
import { complaintsAboutError } from './fuzz-verdict';
import { seeded } from './random';
import { roundTo, valueOfBits } from './rounding';

/** A tensor made from a typed array, copied, read and disposed. */
export interface TensorPlan {
  source: 'Float32Array' | 'Uint16Array' | 'Int32Array';
  dims: number[];
  dtype: number;
  seed: number;
  copies: ('to' | 'toSync')[];
  read: 'toArray' | 'toArraySync';
  fault: { name: string; n: number };
}

interface TensorDraft {
  data: unknown;
  dims: unknown;
  dtype: unknown;
  device: unknown;
  disposeFirst: boolean;
}

const dtypesOf: Record<TensorPlan['source'], readonly DType[]> = {
  Float32Array: ['float32', 'float16', 'bfloat16', 'complex64'],
  Uint16Array: ['float16', 'bfloat16'],
  Int32Array: ['int32'],
};

const noArrays = nonsense.filter((value) => typeof value !== 'object' || value === null);
const notDTypes: readonly unknown[] = ['float64', 'Float32', 'toString', '__proto__', 4, ...nonsense];
const notDevices: readonly unknown[] = ['tpu', 'cuda:99', 'CPU', 0, undefined, ...nonsense];
const notSizes: readonly unknown[] = [-1, 0.5, 2 ** 53, Number.NaN, '1', null, 2n, {}, ...nonsense];

type TensorFault = (draft: TensorDraft, array: Numbers, n: number) => Effect;

const faults: Record<string, TensorFault> = {
  none: () => harmless,
  disguise: (draft, array, n) => {
    draft.data = disguised(array, n);
    return harmless;
  },
  impostor: (draft, array, n) => {
    draft.data = impostor(array, n);
    return ['ERR_DTYPE'];
  },
  taken: (_draft, array) => (takeMemory(array) ? ['ERR_SHAPE'] : harmless),
  takenMeanwhile: (draft, array, n) => {
    const dims = draft.dims as number[];
    if (array.length === 0 || dims.length === 0) return harmless;
    onRead(dims, String(n % dims.length), () => takeMemory(array));
    return ['ERR_SHAPE'];
  },
  size: (draft, _array, n) => {
    const dims = draft.dims as unknown[];
    dims[n % (dims.length + 1)] = choose(notSizes, n >> 2);
    return ['ERR_SHAPE'];
  },
  length: (draft, array, n) => {
    const dims = draft.dims as number[];
    const wrapping = [[2 ** 32, 2 ** 32], [2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1], [array.length + 2 ** 32], [2 ** 40]];
    draft.dims = choose([...wrapping, [...dims, 3, 5, 7, 11], [array.length + 1]], n);
    return array.length === 0 && n % 6 === 4 ? harmless : ['ERR_SHAPE'];
  },
  noDims: (draft, _array, n) => {
    draft.dims = choose([undefined, 4, {}, new Set([1]), Int32Array.of(1), ...noArrays], n);
    return ['ERR_SHAPE'];
  },
  throwingDims: (draft, _array, n) => {
    const dims = [...(draft.dims as number[]), 1];
    const { proxy, revoke } = Proxy.revocable(dims, {});
    revoke();
    onRead(dims, String(n % dims.length), fail);
    draft.dims = choose([dims, proxy, new Proxy(dims, { get: fail })], n);
    return ['ERR_SHAPE'];
  },
  proxiedDims: (draft, _array, n) => {
    const dims = draft.dims as number[];
    const endless = function* (): Generator<number> {
      for (;;) yield 1;
    };
    draft.dims = choose([new Proxy(dims, {}), Object.assign([...dims], { [Symbol.iterator]: endless })], n);
    return harmless;
  },
  dtype: (draft, _array, n) => {
    draft.dtype = choose(notDTypes, n);
    return ['ERR_DTYPE'];
  },
  device: (draft, _array, n) => {
    draft.device = choose(notDevices, n);
    return ['ERR_DEVICE'];
  },
  disposed: (draft) => {
    draft.disposeFirst = true;
    return ['ERR_DISPOSED'];
  },
};

export const tensorPlans: fc.Arbitrary<TensorPlan> = fc.record({
  source: fc.constantFrom('Float32Array', 'Uint16Array', 'Int32Array'),
  dims: fc.oneof(
    { weight: 20, arbitrary: fc.array(fc.nat(5), { maxLength: 4 }) },
    { weight: 1, arbitrary: fc.array(fc.integer({ min: 1, max: 1500 }), { maxLength: 1 }) },
  ),
  dtype: fc.nat(3),
  seed: fc.nat(),
  copies: fc.array(fc.constantFrom('to', 'toSync'), { minLength: 1, maxLength: 2 }),
  read: fc.constantFrom('toArray', 'toArraySync'),
  fault: fc.record({ name: fc.constantFrom(...Object.keys(faults)), n: fc.nat(2 ** 12) }),
}) as fc.Arbitrary<TensorPlan>;

/** What is wrong with how it went; nothing if the values come back exactly, or an error fits the fault. */
export async function complaintsAboutTensor(plan: TensorPlan, device: string): Promise<string[]> {
  const dtype = choose(dtypesOf[plan.source], plan.dtype);
  const array = numbersOf(plan, dtype);
  const want = valuesOf(array, dtype);
  const draft: TensorDraft = { data: array, dims: [...plan.dims], dtype, device, disposeFirst: false };
  const codes = new Set<string>((faults[plan.fault.name] as TensorFault)(draft, array, plan.fault.n));
  try {
    const values = await roundTrip(draft, plan);
    if (codes.size > 0) return [`went well, but had to fail with ${[...codes].join(' or ')}`];
    const wrong = want.findIndex((value, i) => !Object.is(value, values[i]));
    if (values.length !== want.length) return [`${values.length} values instead of ${want.length}`];
    return wrong < 0 ? [] : [`value ${wrong} is ${values[wrong]} instead of ${want[wrong]}`];
  } catch (error) {
    return complaintsAboutError(error, codes);
  }
}

async function roundTrip(draft: TensorDraft, { copies, read }: TensorPlan): Promise<ArrayLike<number>> {
  let tensor = Tensor.from(draft.data as any, draft.dims as any, draft.dtype as any);
  if (draft.disposeFirst) tensor.dispose();
  for (const copy of copies) {
    const next: Promise<Tensor> | Tensor = tensor[copy](draft.device as any);
    tensor.dispose(); // while it is being read
    tensor = await next;
  }
  const values = tensor[read]();
  tensor.dispose();
  tensor.dispose();
  return values;
}

const special = [0, -0, 1, 65504, 65519, 65520, 2 ** -24, 2 ** -25, 1e-45, 3e38, 1 / 0, -1 / 0, 0 / 0];

function numbersOf({ source, dims, seed }: TensorPlan, dtype: DType): Numbers {
  const length = dims.reduce((product, size) => product * size, dtype === 'complex64' ? 2 : 1);
  const random = seeded(seed);
  if (source === 'Uint16Array') return Uint16Array.from({ length }, () => random.integer(0, 65535));
  if (source === 'Int32Array') return Int32Array.from({ length }, () => random.integer(-(2 ** 31), 2 ** 31 - 1));
  return Float32Array.from({ length }, () => (random.uniform() < 0.3 ? random.pick(special) : 8 * random.normal()));
}

function valuesOf(array: Numbers, dtype: DType): number[] {
  if (dtype !== 'float16' && dtype !== 'bfloat16') return Array.from(array);
  return Array.from(array, (x) => (array instanceof Uint16Array ? valueOfBits(dtype, x) : roundTo(dtype, x)));
}
