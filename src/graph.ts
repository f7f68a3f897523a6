import { beginCapturing, endCapturing, refuseInCapture } from './capturing.js';
import { describe } from './check.js';
import type { Device } from './device.js';
import { SelectiveScanError } from './errors.js';
import { awaitNative, callNative, type NativeGraph } from './native.js';
import { readSignal, untilAborted, type WaitOptions } from './signal.js';

/** Graphs are made by capture(); only this module can call the constructor. */
const key = Symbol('Graph');

/**
 * Calls that capture() has recorded, to be made again as often as is wanted: on a GPU one launch for all of them, which
 * costs about a microsecond a call where the calls themselves cost several; on the CPU one call after the other.
 *
 * The tensors in it keep their memory as long as the graph lives, disposed or not. New inputs are put into them by
 * tensor.copyFrom(); results are in the tensors that the captured calls returned.
 */
export class Graph<T = unknown> {
  /** What the captured function returned. Its tensors hold nothing before the first replay. */
  readonly outputs: T;
  #graph: NativeGraph | undefined;

  /** @internal */
  constructor(secret: symbol, graph: NativeGraph, outputs: T) {
    if (secret !== key) throw new TypeError('Graphs are made by capture().');
    this.#graph = graph;
    this.outputs = outputs;
  }

  /** Makes the calls again, in the queue in which they were captured: on a GPU enqueued only, on the CPU blocking. */
  replay(): void {
    const graph = this.#live();
    callNative((native) => native.replay(graph));
  }

  /**
   * The same without blocking the event loop: settles when the calls are done. On a GPU they are enqueued before this
   * returns, and on the CPU they run on the queue's thread.
   */
  async run(options?: WaitOptions): Promise<void> {
    const graph = this.#live();
    await untilAborted(readSignal(options), () => awaitNative((native) => native.runGraph(graph)));
  }

  #live(): NativeGraph {
    const graph = this.#graph;
    if (graph === undefined) {
      throw new SelectiveScanError('ERR_DISPOSED', 'Expected a live graph but it has been disposed.');
    }
    refuseInCapture('a replay');
    return graph;
  }

  get disposed(): boolean {
    return this.#graph === undefined;
  }

  /** Frees the graph and lets go of its memory; replays in flight go on. Disposing again does nothing. */
  dispose(): void {
    const graph = this.#graph;
    this.#graph = undefined;
    if (graph !== undefined) callNative((native) => native.releaseGraph(graph));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Records the calls that `record` makes in a queue. */
export function captureIn<T>(place: Device, record: () => T): Graph<T> {
  if (typeof record !== 'function') {
    throw new SelectiveScanError('ERR_OPTION', `Expected a function to capture but received ${describe(record)}.`);
  }
  refuseInCapture('another capture');
  callNative((native) => native.beginCapture(place.queue));
  beginCapturing(place.name, place.queue);
  let outputs: T;
  try {
    outputs = record();
    if (outputs instanceof Promise) {
      outputs.catch(() => undefined); // of which capture() says what there is to say
      refuseInCapture('a promise');
    }
  } catch (error) {
    endCapturing();
    callNative((native) => native.dropCapture());
    throw error;
  }
  const refusal = endCapturing();
  if (refusal !== undefined) {
    callNative((native) => native.dropCapture());
    throw refusal;
  }
  return new Graph(
    key,
    callNative((native) => native.endCapture()),
    outputs,
  );
}
