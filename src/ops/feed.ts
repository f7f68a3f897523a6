import { setTimeout as delay } from 'node:timers/promises';
import { type CallControl, callNative, type NativeArray } from '../native.js';
import { nextTurn } from '../staging.js';

/**
 * Lets a submitted call read its arrays in turns of about a millisecond, between which the event loop goes round:
 * JavaScript's memory may be read by other threads only while no JavaScript runs that could take it away.
 */
export async function feedUntilSettled(
  call: Promise<void>,
  control: CallControl,
  arrays: readonly NativeArray[],
): Promise<void> {
  let isSettled = false;
  const settle = () => {
    isSettled = true;
  };
  call.then(settle, settle);
  while (!isSettled) {
    const turn = callNative((native) => native.feedCall(control, ...arrays));
    if (turn === 0) break;
    // A call that others are before has nothing to read yet.
    await (turn === 1 ? nextTurn() : delay(1));
  }
  return call;
}
