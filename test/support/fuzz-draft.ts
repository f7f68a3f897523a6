import { type ErrorCode, Tensor } from 'selective-scan';
import type { Form } from './call';
import type { Forms } from './failures';

/** A call in the making. */
export interface Draft {
  op: string;
  forms: Forms;
  form: Form;
  device: string;
  areTensors: boolean;
  batch: number;
  seqlen: number;
  /** The arrays as the call will find them; faults of access leave them here as they are. */
  operands: Record<string, unknown>;
  /** Those of them that the call writes. */
  inPlace: readonly string[];
  /** The call's argument: at first an object with the operands and the options. */
  given: any;
  /** What happens between the call and its end. */
  meanwhile: (() => void)[];
  /** Whether the call may also fail because it is aborted. */
  mayAbort: boolean;
  /** To be disposed after the call. */
  tensors: Tensor[];
}

/** What a fault does to a call: it has to fail with one of these codes; with none it is harmless. */
export type Effect = readonly ErrorCode[];

export const harmless: Effect = [];

/** Changes a draft; `n` chooses among the variants of the fault. A fault that a draft has no place for is harmless. */
export type Fault = (draft: Draft, target: string, n: number) => Effect;

export function put(draft: Draft, name: string, value: unknown): void {
  draft.operands[name] = value;
  draft.given[name] = value;
}

export function choose<T>(choices: readonly T[], n: number): T {
  return choices[n % choices.length] as T;
}

/** What is no array, no number, no boolean, no name of anything and no tensor. */
export const nonsense: readonly unknown[] = [
  null,
  Number.NaN,
  '',
  'x'.repeat(70),
  7n,
  Symbol('nothing'),
  () => 1,
  Object.create(null),
  new Date(0),
  new Proxy([], {}),
  revoked(),
  { valueOf: fail, toString: fail, [Symbol.toPrimitive]: fail },
  new Proxy({}, { get: fail, has: fail, ownKeys: fail, getPrototypeOf: fail, getOwnPropertyDescriptor: fail }),
];

/** A caller's own error, which is none of the package's. */
export function fail(): never {
  throw new Error('an error of the caller');
}

export function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Makes a property run the caller's code when it is read. */
export function onRead(object: object, name: string, act: () => void): void {
  const value = (object as Record<string, unknown>)[name];
  const get = () => {
    act();
    return value;
  };
  Object.defineProperty(object, name, { get, enumerable: true, configurable: true });
}

/** Whether a value is a tensor, and not something that only looks like one or throws when it is asked. */
export function isTensor(value: unknown): value is Tensor {
  try {
    return value instanceof Tensor && typeof value.disposed === 'boolean';
  } catch {
    return false;
  }
}
