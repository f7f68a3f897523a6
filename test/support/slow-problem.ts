import { performance } from 'node:perf_hooks';
import { type SelectiveScanOptions, selectiveScanSync, Tensor } from 'selective-scan';

/**
 * Options of a scan that keeps the CPU busy for about the given time with little memory: many states, B and C constant.
 * Its length is found by trying, since a vector set and a core more or less make a factor of fifty.
 */
export function slowProblem(milliseconds: number): SelectiveScanOptions {
  for (let seqlen = 64; ; seqlen *= 2) {
    const options = problemOf(seqlen);
    const start = performance.now();
    selectiveScanSync(options);
    const took = performance.now() - start;
    if (took >= milliseconds / 4) return problemOf(Math.ceil((seqlen * milliseconds) / took));
  }
}

function problemOf(seqlen: number): SelectiveScanOptions {
  const [dim, dstate] = [64, 256];
  const filled = (dims: number[], value: number): Tensor =>
    Tensor.from(new Float32Array(dims.reduce((product, size) => product * size)).fill(value), dims);
  return {
    u: filled([1, dim, seqlen], 1),
    delta: filled([1, dim, seqlen], 0.01),
    A: filled([dim, dstate], -1),
    B: filled([dim, dstate], 1),
    C: filled([dim, dstate], 1),
  };
}
