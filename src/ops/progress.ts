import { describe } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { type CallControl, callNative } from '../native.js';

/** How far a call is, in elements of its main output. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

export type OnProgress = (progress: Progress) => void;

/** Milliseconds between two reports. */
const interval = 10;

/** An option that is a function or left out. */
export function checkOnProgress(onProgress: unknown): OnProgress | undefined {
  if (onProgress === undefined || typeof onProgress === 'function') return onProgress as OnProgress | undefined;
  throw new SelectiveScanError(
    'ERR_OPTION',
    `Expected onProgress to be a function but received ${describe(onProgress)}.`,
  );
}

/** Reports a submitted call's progress until it settles, and settles as it does. */
export async function reportUntilSettled(
  call: Promise<void>,
  control: CallControl,
  total: number,
  onProgress: OnProgress,
): Promise<void> {
  let reported = -1;
  let failure: SelectiveScanError | undefined;
  const report = (done: number) => {
    if (failure || done <= reported) return;
    reported = done;
    try {
      onProgress({ done, total });
    } catch (cause) {
      failure = new SelectiveScanError('ERR_OPTION', 'Expected onProgress to return but it threw an error.', { cause });
      callNative((native) => native.abortCall(control));
    }
  };
  const timer = setInterval(() => report(callNative((native) => native.progressOf(control)).done), interval);
  try {
    await call;
  } catch (error) {
    throw failure ?? error;
  } finally {
    clearInterval(timer);
  }
  report(total);
  if (failure) throw failure;
}
