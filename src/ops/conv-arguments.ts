import { type Axis, describe } from '../check.js';
import type { DType } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import type { Operands } from './operands.js';

const leastWidth = 2;
const mostWidth = 8;

/** Checks a convolution's weight, [dim, width], and bias, [dim], which are both float32 or both of the input's dtype. */
export function checkWeights<Name extends string>(
  operands: Operands<Name | 'weight' | 'bias'>,
  dim: number,
  dtype: DType,
): { width: number; weightDType: DType } {
  const [, width] = operands.dimsOfRank('weight', ['dim', 'width']) as [number, number];
  const channel: Axis = ['dim', dim];
  const found = operands.dtype('weight');
  const weightDType = found === 'float32' ? found : dtype;
  operands.check('weight', { axes: [channel, ['width', width]], dtype: weightDType });
  if (width < leastWidth || width > mostWidth) {
    throw new SelectiveScanError(
      'ERR_SHAPE',
      `Expected width to be from ${leastWidth} to ${mostWidth} but received ${width}.`,
    );
  }
  operands.check('bias', { axes: [channel], dtype: weightDType });
  return { width, weightDType };
}

/** 1 for silu, 0 for none. */
export function checkActivation(activation: unknown): 0 | 1 {
  if (activation === undefined) return 0;
  if (activation === 'silu') return 1;
  throw new SelectiveScanError('ERR_OPTION', `Expected activation to be 'silu' but received ${describe(activation)}.`);
}
