import { SelectiveScanError } from './errors.js';

/** The capture that is going on; there is one at a time, since it begins and ends within a call. */
let going: { device: string; queue: number; refusal?: SelectiveScanError } | undefined;

export function beginCapturing(device: string, queue: number): void {
  going = { device, queue };
}

/** The first thing in the capture that could not be captured, whatever became of the error that said so. */
export function endCapturing(): SelectiveScanError | undefined {
  const refusal = going?.refusal;
  going = undefined;
  return refusal;
}

/** Throws for what cannot be captured while a capture is going on, which then fails with the same error, the first. */
export function refuseInCapture(received: string): void {
  if (going === undefined) return;
  const error = new SelectiveScanError(
    'ERR_UNSUPPORTED',
    `Expected Sync calls on tensors of ${going.device} within capture() but received ${received}.`,
  );
  going.refusal ??= error;
  throw going.refusal;
}

/** The same for calls of any other queue than that which is captured. */
export function refuseElsewhere(queue: number): void {
  if (going !== undefined && going.queue !== queue) refuseInCapture('a call on another device or stream');
}
