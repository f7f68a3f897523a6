import { type SelectiveScanOptions, Tensor } from 'selective-scan';
import { tensorOptions } from './call';
import { type CaseSpec, randomCase } from './random-case';

/** A scan's options in tensors of a device. */
export function scanOptions(device: string, change: Partial<CaseSpec> = {}): SelectiveScanOptions<Tensor> {
  return tensorOptions(randomCase(change), device).options as SelectiveScanOptions<Tensor>;
}

/** The tensors among options or results. */
export function tensorsIn(values: object): Tensor[] {
  return Object.values(values).filter((value) => value instanceof Tensor);
}

export function sameValues(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && Array.prototype.every.call(a, (value, i) => Object.is(value, b[i]));
}
