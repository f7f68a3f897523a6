import { readyDevice } from '../device.js';
import { toBFloat16, toFloat16 } from '../dtype.js';
import { fillTensor } from '../filling.js';
import { rawView } from '../host-array.js';
import type { MambaConfig } from './config.js';
import type { FloatBits, FloatDType } from './float-conversion.js';
import type { LoadOptions } from './load-options.js';
import type { WeightSource } from './model-weights.js';
import { weightShapes } from './weights.js';

/** Values that are made of a tensor, and then repeated: gigabytes of weights are to be there in seconds. */
const valuesMade = 1024 * 1024;

/**
 * Weights that no training has touched, of the sizes that transformers begins with: for measuring, where what a model says
 * does not matter.
 */
export function randomWeights(config: MambaConfig): WeightSource {
  const shapes = weightShapes(config);
  const noise = gaussian(valuesMade);
  return {
    config,
    async tensor(name: string, { dtype = 'float32', device }: LoadOptions) {
      const shape = shapes.get(name) as readonly number[];
      const size = shape.reduce((product, axis) => product * axis, 1);
      const row = shape.at(-1) as number;
      const rows = Math.max(1, Math.floor(Math.min(size, valuesMade) / row));
      const block = makeBlock(rows * row, dtype, initial(name, row, config, noise));
      return fillTensor(await readyDevice(device), shape, dtype, async (element) =>
        rawView(block.subarray(0, size - element)),
      );
    },
  };
}

function makeBlock(length: number, dtype: FloatDType, value: (i: number) => number): FloatBits {
  const block = dtype === 'float32' ? new Float32Array(length) : new Uint16Array(length);
  const round = { float32: Math.fround, float16: toFloat16, bfloat16: toBFloat16 }[dtype];
  for (let i = 0; i < length; i++) block[i] = round(value(i));
  return block;
}

/** A weight's values by their place; `row` is the length of its last axis. */
function initial(
  name: string,
  row: number,
  { stateSize, timeStepRank }: MambaConfig,
  noise: Float32Array,
): (i: number) => number {
  const normal = (i: number) => noise[i % valuesMade] as number;
  if (name.endsWith('A_log')) return (i) => Math.log(1 + (i % stateSize));
  if (name.endsWith('mixer.D') || name.includes('norm')) return () => 1;
  // softplus of it is a step between 0.001 and 0.1.
  if (name.endsWith('dt_proj.bias')) return (i) => -4.6 + 0.8 * normal(i);
  if (name.endsWith('bias')) return () => 0;
  if (name.endsWith('dt_proj.weight')) return (i) => normal(i) / Math.sqrt(timeStepRank);
  return (i) => normal(i) / Math.sqrt(row);
}

/** Numbers of about the normal distribution, the same each time: sums of those of a linear congruential generator. */
function gaussian(length: number): Float32Array {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = (uniform() + uniform() + uniform()) * 2;
  return values;
}
