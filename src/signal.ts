import { describe, guarded, readOptions } from './check.js';
import { SelectiveScanError } from './errors.js';

/** Options of what only waits or copies. */
export interface WaitOptions {
  /** Rejects with ERR_ABORTED when it is aborted. What has been given to a device goes on; nobody hears of it. */
  signal?: AbortSignal | undefined;
}

const known: ReadonlySet<string> = new Set<keyof WaitOptions>(['signal']);

/** The signal of options that may be left out. */
export function readSignal(options: unknown): AbortSignal | undefined {
  return options === undefined ? undefined : checkSignal(readOptions<WaitOptions>(options, known, 'options').signal);
}

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
  if (signal && askSignal(() => signal.aborted)) throw abortError(signal);
}

/** Does something when a signal is aborted; returns what ends that. */
export function onAbort(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal === undefined) return () => {};
  askSignal(() => signal.addEventListener('abort', act, { once: true }));
  return () => askSignal(() => signal.removeEventListener('abort', act));
}

/** Settles as the work does, or rejects with ERR_ABORTED when the signal is aborted. With one that is aborted already no work is begun. */
export async function untilAborted<T>(signal: AbortSignal | undefined, begin: () => Promise<T>): Promise<T> {
  if (signal === undefined) return begin();
  throwIfAborted(signal);
  let stopListening = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      stopListening = onAbort(signal, () => reject(abortError(signal)));
      begin().then(resolve, reject);
    });
  } finally {
    stopListening();
  }
}

function abortError(signal: AbortSignal): SelectiveScanError {
  const cause = askSignal(() => signal.reason);
  return new SelectiveScanError('ERR_ABORTED', 'The operation was aborted.', { cause });
}

/** A signal may be an object of the caller's own making, which throws what it likes. */
function askSignal<T>(ask: () => T): T {
  return guarded('signal', 'ERR_OPTION', ask);
}
