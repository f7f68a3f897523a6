import { Stream } from 'selective-scan';
import { impostor, isNumbers, resizable, shared, takeMemory } from './fuzz-arrays';
import {
  choose,
  type Draft,
  type Effect,
  type Fault,
  fail,
  harmless,
  isTensor,
  nonsense,
  onRead,
  put,
  revoked,
} from './fuzz-draft';

type Dims = Record<string, unknown>;

/** Whether dims are given, and are still an ordinary object that is one's own to change. */
function dimsOf(draft: Draft): Dims | undefined {
  const { dims } = draft.given;
  if (dims === undefined) return undefined;
  draft.given.dims = { ...dims };
  return draft.given.dims;
}

/** A size that no call of this package can have in place of the right one. */
function wrongSize(axis: string, size: number, n: number): unknown {
  const never = [-1, -0.5, size + 0.5, Number.POSITIVE_INFINITY, `${size}`, true, {}, [size], 2 ** 53, 1e300];
  // Products that 32 or 64 bits, or a double, take for the right ones.
  const wrapping = [size + 2 ** 32, (size + 1) * 2 ** 32 + size, 2 ** 53 - 1, 2 ** 51 + size, 2 ** 31, size + 1];
  return choose([...(axis === 'batch' ? [] : [0]), ...never, ...nonsense, ...wrapping], n);
}

/** Takes an operand's memory while the call is reading its arguments. */
export function takeOnRead(draft: Draft, object: object, name: string, n: number): Effect {
  // Without batch entries most operands have no elements, and one that is too long would be right without its memory.
  const canBeVictim = (name: string) => draft.batch > 0 || ['A', 'D', 'deltaBias'].includes(name);
  const operands = Object.entries(draft.operands).filter(([name, value]) => value !== undefined && canBeVictim(name));
  if (operands.length === 0) return harmless;
  const [, victim] = choose(operands, n);
  if (isTensor(victim)) {
    const effect: Effect = victim.disposed ? harmless : ['ERR_DISPOSED'];
    onRead(object, name, () => victim.dispose());
    return effect;
  }
  const canBeTaken = isNumbers(victim) && victim.length > 0 && !(victim.buffer instanceof SharedArrayBuffer);
  if (!canBeTaken) return harmless;
  onRead(object, name, () => takeMemory(victim, n));
  return ['ERR_SHAPE'];
}

const faultsOfDims: Record<string, (dims: Dims, draft: Draft, n: number) => Effect> = {
  size: (dims, _draft, n) => {
    const axis = choose(['batch', 'dim', 'seqlen', 'dstate', 'groups'], n);
    const isEmpty = dims.batch === 0 && axis === 'seqlen';
    // More groups than channels: fewer of them may be right where B and C are constant.
    const size = dims[axis === 'groups' ? 'dim' : axis] as number;
    dims[axis] = isEmpty ? -1 : wrongSize(axis, size, n >> 3);
    return ['ERR_SHAPE'];
  },
  unknownSize: (dims, _draft, n) => {
    dims[choose(['length', 'Dim', 'u', '0', ''], n)] = n % 7;
    return ['ERR_OPTION'];
  },
  throwing: (dims, draft, n) => {
    if (n % 3 === 0) draft.given.dims = revoked();
    else if (n % 3 === 1) onRead(dims, choose(Object.keys(dims), n >> 2), fail);
    else draft.given.dims = new Proxy(dims, { ownKeys: fail });
    return ['ERR_OPTION'];
  },
  proxied: (dims, draft) => {
    draft.given.dims = new Proxy(dims, {});
    return harmless;
  },
  taking: (dims, draft, n) => takeOnRead(draft, dims, choose(Object.keys(dims), n), n >> 2),
};

export const notFlags: readonly unknown[] = [0, 1, 'true', [], ...nonsense];
const notDevices: readonly unknown[] = ['tpu', 'cuda:99', 'cuda:-1', 'cuda:01', 'CPU', 'cpu:0', 0, ...nonsense];
const notSignals: readonly unknown[] = [
  'stop',
  1,
  { aborted: false },
  { aborted: false, addEventListener: () => undefined },
  { aborted: false, addEventListener: fail, removeEventListener: fail },
  Object.defineProperty({}, 'aborted', { get: fail }),
  ...nonsense,
];
const notOptions: readonly unknown[] = [
  undefined,
  1,
  true,
  'options',
  ...nonsense.filter((x) => typeof x !== 'object'),
];

const wrongStarts = (seqlen: number): readonly Int32Array[] => [
  Int32Array.of(1, seqlen),
  Int32Array.of(0, seqlen + 1),
  Int32Array.of(0, 2 ** 31 - 1, seqlen),
  Int32Array.of(0, -(2 ** 31), seqlen),
  Int32Array.of(0),
  new Int32Array(0),
];

/** Faults that wrap the whole of the options, so that a call can have one of them. */
export const faultsOfAccess: ReadonlySet<string> = new Set(['throwing', 'taking', 'proxied', 'noOptions']);

/** What can be wrong with the rest of a call. Those of access come last, since they wrap what the others made. */
export const faultsOfOptions: Record<string, Fault> = {
  dims: (draft, _target, n) => {
    const dims = dimsOf(draft);
    if (dims === undefined) return harmless;
    return choose(Object.values(faultsOfDims), n)(dims, draft, n >> 3);
  },
  noDims: (draft, _target, n) => {
    if (draft.op !== 'scan' || draft.areTensors) return harmless;
    const wrong = [undefined, 3, 'dims', ...nonsense.filter((x) => typeof x !== 'object'), null];
    draft.given.dims = choose(wrong, n);
    return ['ERR_OPTION'];
  },
  starts: (draft, _target, n) => {
    if (draft.op !== 'scan') return harmless;
    const { cuSeqlens } = draft.given;
    if (n % 3 === 0) {
      draft.given.cuSeqlens = choose(wrongStarts(draft.seqlen), n >> 2);
      return ['ERR_SHAPE'];
    }
    if (n % 3 === 1) {
      draft.given.cuSeqlens = impostor(cuSeqlens ?? new Int32Array(2), n >> 2);
      return ['ERR_DTYPE'];
    }
    if (cuSeqlens) draft.given.cuSeqlens = n % 2 === 0 ? shared(cuSeqlens) : resizable(cuSeqlens);
    return harmless;
  },
  slots: (draft, _target, n) => {
    if (draft.op !== 'update') return harmless;
    const rows = draft.batch;
    const wrong = [new Int32Array(rows + 1), new Int32Array(rows + 2).fill(-1)];
    // All rows the same slot; a single one a slot that there is not.
    wrong.push(
      rows > 1 ? new Int32Array(rows) : new Int32Array(1).fill(-2),
      new Int32Array(rows + 1).fill(2 ** 31 - 1),
    );
    const isType = n % 2 === 0;
    draft.given.slots = isType ? impostor(new Int32Array(rows), n >> 1) : choose(wrong, n >> 1);
    return isType ? ['ERR_DTYPE'] : ['ERR_SHAPE'];
  },
  flag: (draft, _target, n) => {
    const flags = draft.op === 'scan' ? ['returnLastState', 'complexA', 'constantB', 'constantC'] : ['returnStates'];
    draft.given[choose(['deltaSoftplus', 'batchInvariant', ...flags], n)] = choose(notFlags, n >> 3);
    return ['ERR_OPTION'];
  },
  layout: (draft, _target, n) => {
    draft.given.layout = choose(['ldb', 'BDL', 0, ...nonsense], n);
    return ['ERR_OPTION'];
  },
  stream: (draft, _target, n) => {
    if (n % 3 === 0) {
      draft.given.stream = choose(nonsense, n >> 2);
      return ['ERR_OPTION'];
    }
    const stream = new Stream(draft.device);
    draft.given.stream = stream;
    if (n % 3 === 2) return harmless;
    stream.dispose();
    return ['ERR_DISPOSED'];
  },
  device: (draft, _target, n) => {
    draft.given.device = choose(notDevices, n);
    return ['ERR_DEVICE'];
  },
  unknown: (draft, _target, n) => {
    draft.given[choose(['y', 'delta_softplus', 'then', 'toString', '0'], n)] = choose(nonsense, n >> 2);
    return ['ERR_OPTION'];
  },
  signal: (draft, _target, n) => {
    if (n % 4 === 0) {
      draft.given.signal = choose(notSignals, n >> 2);
      return ['ERR_OPTION'];
    }
    const controller = new AbortController();
    draft.given.signal = controller.signal;
    if (n % 4 === 1) controller.abort();
    if (draft.form === 'sync') return ['ERR_OPTION'];
    if (n % 4 === 1) return ['ERR_ABORTED'];
    if (n % 4 === 2) {
      draft.mayAbort = true;
      draft.meanwhile.push(() => controller.abort());
    }
    return harmless;
  },
  absent: (draft, _target, n) => {
    put(draft, choose(['u', 'delta', 'A', 'B', 'C', ...(draft.op === 'update' ? ['state'] : [])], n), undefined);
    return ['ERR_DTYPE'];
  },
  meanwhile: (draft, _target, n) => {
    if (draft.form === 'sync' && !draft.areTensors) return harmless;
    draft.meanwhile.push(() => {
      for (const [name, operand] of Object.entries(draft.operands)) {
        if (isTensor(operand)) {
          if (!draft.inPlace.includes(name)) operand.dispose();
        } else if (isNumbers(operand) && operand.length > 0) {
          if (n % 2 === 0)
            new Uint8Array(operand.buffer).fill(255); // NaN
          else takeMemory(operand);
        }
      }
    });
    return harmless;
  },
  throwing: (draft, _target, n) => {
    if (n % 2 === 0) onRead(draft.given, choose(Object.keys(draft.given), n >> 1), fail);
    else draft.given = new Proxy(draft.given, choose<object>([{ ownKeys: fail }, { get: fail }], n >> 1));
    return ['ERR_OPTION'];
  },
  taking: (draft, _target, n) => takeOnRead(draft, draft.given, 'deltaSoftplus', n),
  proxied: (draft, _target, n) => {
    draft.given = choose([new Proxy(draft.given, {}), Object.freeze(draft.given)], n);
    return harmless;
  },
  noOptions: (draft, _target, n) => {
    draft.given = choose([...notOptions, null, revoked()], n);
    return ['ERR_OPTION'];
  },
};
