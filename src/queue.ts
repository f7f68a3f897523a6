import { refuseInCapture } from './capturing.js';
import { describe } from './check.js';
import { type Device, finishSync } from './device.js';
import { SelectiveScanError } from './errors.js';
import { captureIn, type Graph } from './graph.js';
import { awaitNative, callNative, type NativeEvent } from './native.js';
import { readSignal, untilAborted, type WaitOptions } from './signal.js';

/** Events are made by record(); only this module can call the constructor. */
const key = Symbol('QueueEvent');

let nativeEventOf: (event: unknown) => NativeEvent | undefined;

/** A point in a queue, for other queues of the same device to wait for. */
export class QueueEvent {
  /** The device of the queue. */
  readonly device: string;
  readonly #event: NativeEvent;

  /** @internal */
  constructor(secret: symbol, event: NativeEvent, device: string) {
    if (secret !== key) throw new TypeError('Events are made by record().');
    this.#event = event;
    this.device = device;
  }

  static {
    nativeEventOf = (event) =>
      typeof event === 'object' && event !== null && #event in event ? event.#event : undefined;
  }
}

/** What keeps the order of calls: a device's own queue, or a Stream. */
export abstract class Queue {
  /** @internal Where it is; throws ERR_DISPOSED if it is no more. */
  protected abstract place(): Device;

  /** The point after all calls made in this queue so far. */
  record(): QueueEvent {
    const { queue, name } = this.place();
    refuseInCapture('record()');
    return new QueueEvent(
      key,
      callNative((native) => native.recordEvent(queue)),
      name,
    );
  }

  /**
   * Makes the calls that follow in this queue run after what came before the event in its own. Returns at once. Throws
   * ERR_DEVICE where the event is of another device.
   */
  wait(event: QueueEvent): void {
    const { queue, name } = this.place();
    const native = nativeEventOf(event);
    if (native === undefined) {
      throw new SelectiveScanError(
        'ERR_OPTION',
        `Expected event to come from record() but received ${describe(event)}.`,
      );
    }
    if (event.device !== name) {
      throw new SelectiveScanError('ERR_DEVICE', `Expected an event of ${name} but received one of ${event.device}.`);
    }
    refuseInCapture('wait()');
    callNative((module) => module.waitForEvent(queue, native));
  }

  /** Settles when all work given to this queue so far is done. */
  async synchronize(options?: WaitOptions): Promise<void> {
    const { queue } = this.place();
    refuseInCapture('a promise form');
    await untilAborted(readSignal(options), () => awaitNative((native) => native.finish(queue)));
  }

  /** The same, blocking. */
  synchronizeSync(): void {
    finishSync(this.place().queue);
  }

  /**
   * Records the Sync calls on tensors that `record` makes in this queue, without making them, and returns a Graph that
   * makes them at each replay(). Ops can be captured, and copies between tensors of the device; all else in `record`
   * happens once, at the capture. What cannot be captured throws ERR_UNSUPPORTED, and then so does capture(): promise
   * forms, typed arrays, toArray and other copies from or to the host, other queues.
   */
  capture<T>(record: () => T): Graph<T> {
    return captureIn(this.place(), record);
  }
}
