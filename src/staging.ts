import { SelectiveScanError } from './errors.js';
import type { HostView } from './host-array.js';
import { callNative, type NativeMemory } from './native.js';

/** Copied before the call returns, so that small inputs may be changed at once. */
export const bytesAtCall = 4 * 1024 * 1024;

/** Copied in each later turn of the event loop: under a millisecond, also where the target's pages are new. */
const bytesPerTurn = 1024 * 1024;

/** Lets timers, I/O and other callbacks run before going on. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Copies a call's host arrays into memory that JavaScript cannot detach, resize or write while native threads read it.
 * The first 4 MB are copied before this returns, the rest over turns of the event loop; an array that loses its memory
 * meanwhile is ERR_SHAPE. `proceed` is asked before each turn and may throw to stop.
 */
export async function stage<Key>(
  views: ReadonlyMap<Key, HostView>,
  nameOf: (key: Key) => string,
  proceed: () => void,
): Promise<Map<Key, NativeMemory>> {
  const staged = new Map<Key, NativeMemory>();
  // Before the first turn: a view whose buffer is detached later has length 0.
  const sizes = new Map([...views].map(([key, { raw }]) => [key, raw.byteLength]));
  try {
    let left = bytesAtCall;
    for (const [key, { raw }] of views) {
      const size = sizes.get(key) as number;
      const memory = callNative((native) => native.allocate(-1, size));
      staged.set(key, memory);
      for (let start = 0; start < size; ) {
        if (left === 0) {
          await nextTurn();
          proceed();
          left = bytesPerTurn;
        }
        if (raw.byteLength !== size) {
          throw new SelectiveScanError(
            'ERR_SHAPE',
            `Expected ${nameOf(key)} to keep its memory until the call settles, but it was detached or resized.`,
          );
        }
        // Whole elements: a turn's bytes are a multiple of any element's.
        const end = Math.min(start + left, size);
        const part = raw.subarray(start / raw.BYTES_PER_ELEMENT, end / raw.BYTES_PER_ELEMENT);
        callNative((native) => native.write(memory, start, part));
        left -= end - start;
        start = end;
      }
    }
    return staged;
  } catch (error) {
    releaseAll(staged.values());
    throw error;
  }
}

export function releaseAll(memories: Iterable<NativeMemory>): void {
  for (const memory of memories) callNative((native) => native.release(memory));
}
