import { causalConv1dSync } from '../ops/causal-conv1d.js';
import { causalConv1dUpdateSync } from '../ops/causal-conv1d-update.js';
import { selectiveScanSync } from '../ops/selective-scan.js';
import { selectiveStateUpdateSync } from '../ops/selective-state-update.js';
import type { Tensor } from '../tensor.js';
import type { Recurrence } from './block.js';

/**
 * Tokens of prompts that lie one after the other, [1, tokens, dim]: sequence s of the state has those from cuSeqlens[s] to
 * cuSeqlens[s + 1]. Without cuSeqlens they are of one sequence.
 */
export function throughPrompts(cuSeqlens: Int32Array | undefined): Recurrence {
  const packing = { cuSeqlens, layout: 'bld' } as const;
  return {
    convolve({ conv }, state, x) {
      const { out, finalState } = causalConv1dSync({
        ...{ x, ...conv, activation: 'silu', ...packing },
        initialState: state.conv,
        returnFinalState: true,
      });
      replace(state.conv, finalState as Tensor);
      return out;
    },
    scan({ A, D, deltaBias }, state, inputs) {
      const { out, lastState } = selectiveScanSync<Tensor>({
        ...{ ...inputs, A, D, deltaBias, deltaSoftplus: true, ...packing },
        initialState: state.scan,
        returnLastState: true,
      });
      replace(state.scan, lastState as Tensor);
      return out;
    },
  };
}

/** A state keeps its memory, which captured steps know by its address. */
function replace(state: Tensor, values: Tensor): void {
  state.copyFromSync(values);
  values.dispose();
}

/** One token of each sequence of the batch, [batch, dim]. */
export const oneStep: Recurrence = {
  convolve({ conv }, state, x) {
    return causalConv1dUpdateSync({ state: state.conv, x, ...conv, activation: 'silu' }).out;
  },
  scan({ A, D, deltaBias }, state, inputs) {
    return selectiveStateUpdateSync({ state: state.scan, ...inputs, A, D, deltaBias, deltaSoftplus: true }).out;
  },
};
