import { device as deviceOf, synchronizeSync } from 'selective-scan';

export interface Timing {
  readonly seconds: number;
  /** Of them the caller's: what it takes to enqueue a call, where calls are enqueued (on a GPU). */
  readonly hostSeconds: number | undefined;
}

// Calls that a GPU's queue takes without making the caller wait.
const burst = 64;

/**
 * The time of one call, the median of several runs over all sets of inputs in turn. Of a GPU: calls enqueued back to
 * back, so that a call's time is its kernels' and not the launch's, unless the launch is the longer.
 */
export function timeCalls<Inputs>(device: string, sets: readonly Inputs[], call: (inputs: Inputs) => void): Timing {
  const isQueued = device !== 'cpu';
  let turn = 0;
  const run = (calls: number) => {
    const start = performance.now();
    let enqueued = start;
    for (let i = 0; i < calls; i++) {
      call(sets[turn++ % sets.length] as Inputs);
      if (i < burst) enqueued = performance.now();
    }
    synchronizeSync(device);
    return {
      seconds: (performance.now() - start) / 1e3 / calls,
      host: (enqueued - start) / 1e3 / Math.min(calls, burst),
    };
  };
  run(sets.length);
  const calls = Math.max(1, Math.ceil((isQueued ? 0.02 : 0.1) / run(1).seconds));
  const runs = Array.from({ length: isQueued ? 15 : 5 }, () => run(calls));
  return {
    seconds: median(runs.map(({ seconds }) => seconds)),
    hostSeconds: isQueued ? median(runs.map(({ host }) => host)) : undefined,
  };
}

/**
 * The same of calls that a GPU makes as a CUDA graph, one after the other, which leaves out the launches: `call` is given
 * what the call before returned, and needs it.
 */
export function secondsInGraph<Inputs, Link>(
  device: string,
  sets: readonly Inputs[],
  call: (inputs: Inputs, before: Link | undefined) => Link,
): number {
  const calls = sets.length * Math.ceil(burst / sets.length);
  using graph = deviceOf(device).capture(() => {
    let link: Link | undefined;
    for (let i = 0; i < calls; i++) link = call(sets[i % sets.length] as Inputs, link);
    return link;
  });
  const run = () => {
    const replays = 5;
    const start = performance.now();
    for (let i = 0; i < replays; i++) graph.replay();
    synchronizeSync(device);
    return (performance.now() - start) / 1e3 / replays / calls;
  };
  run();
  return median(Array.from({ length: 15 }, run));
}

export interface Microseconds {
  readonly microseconds: number;
  readonly hostMicroseconds?: number;
}

/** A time as the results hold it. */
export function microseconds({ seconds, hostSeconds }: Timing): Microseconds {
  return { microseconds: 1e6 * seconds, ...(hostSeconds !== undefined && { hostMicroseconds: 1e6 * hostSeconds }) };
}

/** Whether a call takes as long as enqueuing it does, so that the time says nothing of the kernel. */
export function isLaunchBound({ microseconds, hostMicroseconds = 0 }: Microseconds): boolean {
  return hostMicroseconds > 0.9 * microseconds;
}

export function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[times.length >> 1] as number;
}

/** Sets of inputs that it takes so that none is still in a GPU's second-level cache when its turn comes again. */
export function setsBeyondCache(device: string, bytes: number): number {
  const cacheBytes = 64 * 2 ** 20;
  const most = 64;
  // A call that moves several times the cache leaves nothing of its own inputs there.
  if (device === 'cpu' || bytes > 4 * cacheBytes) return 1;
  return Math.min(most, 1 + Math.ceil((2 * cacheBytes) / bytes));
}
