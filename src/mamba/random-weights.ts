import { readyDevice } from '../device.js';
import { bytesOf, toBFloat16, toFloat16 } from '../dtype.js';
import { fillTensor } from '../filling.js';
import { rawView } from '../host-array.js';
import type { MambaConfig } from './config.js';
import type { FloatDType } from './float-conversion.js';
import type { LoadOptions } from './load-options.js';
import type { WeightSource } from './model-weights.js';
import { weightShapes } from './weights.js';

/** Values made at a time, and then again from the start: matrices of gigabytes are to be there in a second. */
const period = 1_000_003;

/**
 * Weights that no training has touched, of the sizes that transformers begins with: for measuring, where what a model says
 * does not matter.
 */
export function randomWeights(config: MambaConfig): WeightSource {
  const shapes = weightShapes(config);
  const noise = gaussian(period);
  return {
    config,
    async tensor(name: string, { dtype = 'float32', device }: LoadOptions) {
      const shape = shapes.get(name) as readonly number[];
      const value = initial(name, shape, config, noise);
      return fillTensor(await readyDevice(device), shape, dtype, async (element) => {
        const size = shape.reduce((product, axis) => product * axis, 1);
        return piece(Math.min(period, size - element), dtype, (i) => value(element + i));
      });
    },
  };
}

function piece(length: number, dtype: FloatDType, value: (i: number) => number) {
  if (bytesOf[dtype] === 4) return rawView(Float32Array.from({ length }, (_, i) => value(i)));
  const round = dtype === 'bfloat16' ? toBFloat16 : toFloat16;
  return rawView(Uint16Array.from({ length }, (_, i) => round(value(i))));
}

/** A weight's values by their place. */
function initial(
  name: string,
  shape: readonly number[],
  { stateSize, timeStepRank }: MambaConfig,
  noise: Float32Array,
): (element: number) => number {
  const at = (element: number) => noise[element % period] as number;
  if (name.endsWith('A_log')) return (element) => Math.log(1 + (element % stateSize));
  if (name.endsWith('mixer.D') || name.includes('norm')) return () => 1;
  // softplus of it is a step between 0.001 and 0.1.
  if (name.endsWith('dt_proj.bias')) return (element) => -4.6 + 0.8 * at(element);
  if (name.endsWith('bias')) return () => 0;
  if (name.endsWith('dt_proj.weight')) return (element) => at(element) / Math.sqrt(timeStepRank);
  const fanIn = shape.at(-1) as number;
  return (element) => at(element) / Math.sqrt(fanIn);
}

/** Sums of uniform numbers from a linear congruential generator, of about the normal distribution. */
function gaussian(length: number): Float32Array {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Float32Array.from({ length }, () => (uniform() + uniform() + uniform()) * 2);
}
