import type { DeviceHandle } from '../device-handle.js';
import { device } from '../device-handle.js';
import type { Graph } from '../graph.js';

/**
 * Makes blocking calls on tensors of one device without blocking the event loop: on a GPU they only enqueue; on the CPU
 * they are captured, which costs nothing but the captured calls' own checks, and run on the queue's thread. What is given
 * to it runs one after the other, so that nobody on the event loop waits for somebody else's work on that thread.
 */
export class Executor {
  readonly device: DeviceHandle;
  #last: Promise<unknown> = Promise.resolve();

  constructor(name: string) {
    this.device = device(name);
  }

  get isCpu(): boolean {
    return this.device.name === 'cpu';
  }

  /** Settles with what `calls` returns, on the CPU when they have run. */
  run<T>(calls: () => T): Promise<T> {
    return this.#inTurn(async () => {
      if (!this.isCpu) return calls();
      using graph = this.device.capture(calls);
      await graph.run();
      return graph.outputs;
    });
  }

  /** Makes captured calls again: enqueued on a GPU. `isShort` says that they may block the event loop as long as they take. */
  replay(graph: Graph, isShort: boolean): Promise<void> {
    return this.#inTurn(async () => {
      if (isShort || !this.isCpu) graph.replay();
      else await graph.run();
    });
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(act);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
