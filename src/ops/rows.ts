import { type Axis, describe } from '../check.js';
import type { DType } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { isTensor } from '../tensor.js';
import type { Operands } from './operands.js';

/** Throws where an array is not a tensor; for ops that take no typed arrays. */
export function checkIsTensor(name: string, value: unknown): void {
  if (isTensor(value)) return;
  const received = ArrayBuffer.isView(value) ? 'a typed array' : describe(value);
  throw new SelectiveScanError('ERR_DTYPE', `Expected ${name} to be a Tensor but received ${received}.`);
}

/** A tensor's last axis, those before it, and how many rows these are. */
export interface Rows {
  readonly leading: readonly Axis[];
  readonly rows: number;
  readonly length: number;
}

/** The rows of a tensor of any rank but 0, whose last axis has a name. */
export function readRows<Name extends string>(operands: Operands<Name>, name: Name, axis: string): Rows {
  const dims = operands.dims(name) as readonly number[];
  const length = dims.at(-1);
  if (length === undefined) {
    throw new SelectiveScanError(
      'ERR_SHAPE',
      `Expected ${name} to have the axes [..., ${axis}] but received shape [].`,
    );
  }
  const leading = dims.slice(0, -1).map((size): Axis => ['...', size]);
  return { leading, rows: leading.reduce((product, [, size]) => product * size, 1), length };
}

/** The option that names a result's dtype. */
export function readFloatDType(dtype: unknown, byDefault: DType): DType {
  if (dtype === undefined) return byDefault;
  if (dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16') return dtype;
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected dtype to be 'float32', 'float16' or 'bfloat16' but received ${describe(dtype)}.`,
  );
}
