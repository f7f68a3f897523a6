import { mambaLayerStepSync } from '../ops/mamba-layer-step.js';
import { type BlockSettings, block, type Hidden } from './block.js';
import type { LayerWeights } from './model-weights.js';
import { oneStep } from './recurrence.js';
import type { LayerState } from './state.js';

/** Inputs of the convolution that the op for a whole layer takes. */
const widths: ReadonlySet<number | undefined> = new Set([2, 3, 4]);

/** Rows that the kernels of that op serve with one pass over the weights; more are the tensor cores' work in `linear`. */
const mostRowsOnGpu = 8;

/**
 * One token of each sequence through one layer: by the op for a whole layer, which on a GPU is four kernels, where there is
 * a residual for it to update in place, the matrices are of the activations' dtype and the sequences are few; else op by op.
 */
export function stepLayer(
  layer: LayerWeights,
  { conv, scan }: LayerState,
  { x, residual }: Hidden,
  settings: BlockSettings,
): Hidden {
  const { weight: convWeight, bias: convBias } = layer.conv;
  const areFew = x.device === 'cpu' || (x.dims[0] as number) <= mostRowsOnGpu;
  const isServed = areFew && layer.inProj.weight.dtype === x.dtype && widths.has(convWeight.dims[1]);
  if (residual === undefined || !isServed) return block(layer, { conv, scan }, { x, residual }, oneStep, settings);
  const { out } = mambaLayerStepSync({
    ...{ hidden: x, residual, normWeight: layer.norm, eps: settings.normEps, mixerNormEps: settings.mixerNorm?.eps },
    ...{ inProj: layer.inProj.weight, inProjBias: layer.inProj.bias, convWeight, convBias, convState: conv },
    ...{ xProj: layer.xProj, dtProj: layer.dtProj, dtBias: layer.deltaBias, A: layer.A, D: layer.D, ssmState: scan },
    ...{ outProj: layer.outProj.weight, outProjBias: layer.outProj.bias },
  });
  return { x: out, residual };
}
