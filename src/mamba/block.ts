import { linearSync } from '../ops/linear.js';
import { rmsNormSync } from '../ops/rms-norm.js';
import type { Tensor } from '../tensor.js';
import type { LayerWeights } from './model-weights.js';
import { Scratch } from './scratch.js';
import type { LayerState } from './state.js';

/** What flows from layer to layer: hidden = residual + x, which the next norm adds up. */
export interface Hidden {
  /** What the layer before added: [1, tokens, hidden] of a prompt, [batch, hidden] of a step. */
  readonly x: Tensor;
  /** float32, of x's shape; the first layer gets none. */
  readonly residual: Tensor | undefined;
}

/** What the scan takes besides the weights. */
export interface ScanInputs {
  readonly u: Tensor;
  readonly delta: Tensor;
  readonly B: Tensor;
  readonly C: Tensor;
  readonly z: Tensor;
}

/** How tokens meet the state, which both leave as it is after the last token: a prompt's all at once, a step's one by one. */
export interface Recurrence {
  convolve(layer: LayerWeights, state: LayerState, x: Tensor): Tensor;
  scan(layer: LayerWeights, state: LayerState, inputs: ScanInputs): Tensor;
}

/** What all layers have in common. */
export interface BlockSettings {
  readonly normEps: number;
  /** Of Falcon-Mamba's norms of delta, B and C, whose weights are ones. */
  readonly mixerNorm: { readonly eps: number; readonly rank: Tensor; readonly states: Tensor } | undefined;
}

/** One layer of Mamba (Gu and Dao 2023, figure 3): hidden + mixer(norm(hidden)), with the sum left to the next norm. */
export function block(
  layer: LayerWeights,
  state: LayerState,
  { x, residual }: Hidden,
  recurrence: Recurrence,
  settings: BlockSettings,
): Hidden & { residual: Tensor } {
  const normed = rmsNormSync({ x, residual, weight: layer.norm, eps: settings.normEps, returnResidual: true });
  try {
    return { x: mixer(layer, state, normed.out, recurrence, settings), residual: normed.residual as Tensor };
  } finally {
    normed.out.dispose();
  }
}

/** The selective state space of one layer, between its projections. */
function mixer(
  layer: LayerWeights,
  state: LayerState,
  x: Tensor,
  recurrence: Recurrence,
  { mixerNorm }: BlockSettings,
): Tensor {
  using scratch = new Scratch();
  const [channels, rank] = layer.dtProj.dims as [number, number];
  const states = layer.A.dims[1] as number;

  const [before, z] = scratch.ownAll(project(x, layer.inProj, [channels, channels])) as [Tensor, Tensor];
  const u = scratch.own(recurrence.convolve(layer, state, before));
  let [dt, B, C] = scratch.ownAll(project(u, { weight: layer.xProj, bias: undefined }, [rank, states, states])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  if (mixerNorm) {
    const norm = (of: Tensor, weight: Tensor) => scratch.own(rmsNormSync({ x: of, weight, eps: mixerNorm.eps }).out);
    [dt, B, C] = [norm(dt, mixerNorm.rank), norm(B, mixerNorm.states), norm(C, mixerNorm.states)];
  }
  const delta = scratch.own(linearSync({ x: dt, weight: layer.dtProj }).out);
  const y = scratch.own(recurrence.scan(layer, state, { u, delta, B, C, z }));
  return linearSync({ x: y, ...layer.outProj }).out;
}

function project(x: Tensor, { weight, bias }: { weight: Tensor; bias: Tensor | undefined }, split: number[]): Tensor[] {
  return linearSync({ x, weight, bias, split }).outs;
}
