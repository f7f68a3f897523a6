import { refuseInCapture } from './capturing.js';
import { describe } from './check.js';
import { type Device, resolveDevice } from './device.js';
import { SelectiveScanError } from './errors.js';
import { callNative } from './native.js';
import { Queue } from './queue.js';

/** Closes streams that nobody holds any more. */
const forgotten = new FinalizationRegistry<number>((stream) => callNative((native) => native.closeStream(stream)));

let placeIn: (stream: Stream) => Device;
let isStream: (value: unknown) => value is Stream;

/**
 * Another queue of a device beside the device's own: what is called in it may run at the same time as what is called in
 * others. Calls name it by their option `stream`. Within a stream calls run in the order in which they were made; between
 * streams only record() and wait() order them, or awaiting a promise form. So a tensor that one queue writes may be used in
 * another after a wait() for an event recorded behind the write. It may be disposed at any time: its memory is not used
 * again before all queues are done with it.
 *
 * On the CPU a stream is a thread that waits its turn at the same cores: calls in two streams make progress together, but
 * not more of it.
 */
export class Stream extends Queue {
  readonly #home: Device;
  #number: number | undefined;

  /**
   * `device` as in every call: 'cpu', 'cuda', 'cuda:N', or 'auto', the default. Throws ERR_DEVICE where there is no such
   * device. The first stream of a GPU sets the GPU up, if nothing else has.
   */
  constructor(device?: string) {
    super();
    const home = resolveDevice(device);
    refuseInCapture('a new Stream');
    const number = callNative((native) => native.openStream(home.index));
    this.#home = { ...home, queue: number };
    this.#number = number;
    forgotten.register(this, number, this);
  }

  /** The name of its device: 'cpu', 'cuda:0', ... */
  get device(): string {
    return this.#home.name;
  }

  get disposed(): boolean {
    return this.#number === undefined;
  }

  /** Ends the use of the stream; what was called in it goes on, and its tensors stay. Disposing again does nothing. */
  dispose(): void {
    const number = this.#number;
    this.#number = undefined;
    if (number === undefined) return;
    forgotten.unregister(this);
    callNative((native) => native.closeStream(number));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  protected place(): Device {
    return placeIn(this);
  }

  static {
    isStream = (value): value is Stream => typeof value === 'object' && value !== null && #number in value;
    placeIn = (stream) => {
      if (stream.#number !== undefined) return stream.#home;
      throw new SelectiveScanError('ERR_DISPOSED', 'Expected stream to be a live stream but it has been disposed.');
    };
  }
}

/** The queue that an option `stream` names, if it is given. */
export function readStream(stream: unknown): Device | undefined {
  if (stream === undefined) return undefined;
  if (isStream(stream)) return placeIn(stream);
  throw new SelectiveScanError('ERR_OPTION', `Expected stream to be a Stream but received ${describe(stream)}.`);
}

/** Throws unless a stream is of the device on which it is to be used. */
export function checkStreamDevice(stream: Device, device: Device): void {
  if (stream.index === device.index) return;
  throw new SelectiveScanError(
    'ERR_DEVICE',
    `Expected stream to be of ${device.name} but received a stream of ${stream.name}.`,
  );
}
