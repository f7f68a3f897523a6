import { callSoftmax, callSoftmaxSync, type SoftmaxOptions, type SoftmaxResult } from './softmax.js';

/**
 * Logarithms of the probabilities over the last axis, computed in float32: out = x - m - log(sum(exp(x - m))) with m the
 * row's maximum. Rows that softmax turns into NaN are NaN here too; minus infinity stays. A row's result is the same
 * bits whatever rows are beside it.
 *
 * Rejects as softmax does.
 */
export function logSoftmax(options: SoftmaxOptions): Promise<SoftmaxResult> {
  return callSoftmax(options, true);
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function logSoftmaxSync(options: Omit<SoftmaxOptions, 'signal'>): SoftmaxResult {
  return callSoftmaxSync(options, true);
}
