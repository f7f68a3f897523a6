import { describe, guarded } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { type CallControl, callNative } from '../native.js';

/** An option that is an AbortSignal or left out. */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  const isSignal = askSignal(() => {
    const { aborted, addEventListener, removeEventListener } = Object(signal) as Partial<AbortSignal>;
    const listens = typeof addEventListener === 'function' && typeof removeEventListener === 'function';
    return typeof aborted === 'boolean' && listens;
  });
  if (isSignal) return signal as AbortSignal;
  throw new SelectiveScanError('ERR_OPTION', `Expected signal to be an AbortSignal but received ${describe(signal)}.`);
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal || !askSignal(() => signal.aborted)) return;
  const cause = askSignal(() => signal.reason);
  throw new SelectiveScanError('ERR_ABORTED', 'The operation was aborted.', { cause });
}

/** Has a signal abort the call; returns what ends that. */
export function onAbort(signal: AbortSignal | undefined, control: CallControl | undefined): () => void {
  if (signal === undefined || control === undefined) return () => {};
  const abort = () => callNative((native) => native.abortCall(control));
  askSignal(() => signal.addEventListener('abort', abort, { once: true }));
  return () => askSignal(() => signal.removeEventListener('abort', abort));
}

/** A signal may be an object of the caller's own making, which throws what it likes. */
function askSignal<T>(ask: () => T): T {
  return guarded('signal', 'ERR_OPTION', ask);
}
