import { synchronizeSync } from 'selective-scan';

/**
 * Seconds of one call, the median of several runs over all sets of inputs in turn. Of a GPU: calls enqueued back to
 * back, so that a call's time is its kernels' and not the launch's, unless the launch is the longer.
 */
export function medianSeconds<Inputs>(device: string, sets: readonly Inputs[], call: (inputs: Inputs) => void): number {
  let turn = 0;
  const run = (calls: number): number => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) call(sets[turn++ % sets.length] as Inputs);
    synchronizeSync(device);
    return Number(process.hrtime.bigint() - start) / 1e9 / calls;
  };
  run(sets.length);
  const calls = Math.max(1, Math.ceil((device === 'cpu' ? 0.1 : 0.02) / run(1)));
  const times = Array.from({ length: device === 'cpu' ? 5 : 15 }, () => run(calls)).sort((a, b) => a - b);
  return times[times.length >> 1] as number;
}

/** Sets of inputs that it takes so that none is still in a GPU's second-level cache when its turn comes again. */
export function setsBeyondCache(device: string, bytes: number, most: number): number {
  const cacheBytes = 64 * 2 ** 20;
  // A call that moves several times the cache leaves nothing of its own inputs there.
  if (device === 'cpu' || bytes > 4 * cacheBytes) return 1;
  return Math.min(most, 1 + Math.ceil((2 * cacheBytes) / bytes));
}
