import { describe } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { type FloatArray, rawView, viewHostArray } from '../host-array.js';
import { callNative } from '../native.js';
import { checkView, type Operands, type Spec } from './operands.js';

/**
 * The option `out` of a call on typed arrays: the caller's own array, which the main output is written into. Undefined if
 * it was not given; throws unless it is what the output would be, and memory of no operand.
 */
export function readOut<Name extends string>(
  out: unknown,
  operands: Operands<Name>,
  spec: Spec,
): FloatArray | undefined {
  if (out === undefined) return undefined;
  if (operands.areTensors) {
    throw new SelectiveScanError(
      'ERR_OPTION',
      'Expected out to be left out with tensors, whose results are tensors of their own.',
    );
  }
  const view = viewHostArray(out);
  if (view === undefined) {
    throw new SelectiveScanError('ERR_DTYPE', `Expected out to be a typed array but received ${describe(out)}.`);
  }
  checkView('out', view, spec);
  for (const name of operands.names) {
    const operand = operands.view(name);
    // By address: two buffers may be of one memory, as those of a tensor's data are.
    if (operand === undefined || !callNative((native) => native.overlap(operand.raw, view.raw))) continue;
    throw new SelectiveScanError('ERR_OPTION', `Expected out to share no memory with ${name}, but they overlap.`);
  }
  return out as FloatArray;
}

/**
 * Throws unless other threads may write the array while JavaScript runs, which can detach it: memory of ours lives on
 * until the call is done, where an ordinary array's would be freed.
 */
export function requirePinned(out: FloatArray): void {
  const raw = rawView(out);
  if (raw.length === 0 || callNative((native) => native.isPinned(raw))) return;
  throw new SelectiveScanError(
    'ERR_OPTION',
    'Expected out to be an array of allocPinned() in the promise form, which writes it while JavaScript runs, but received an ordinary one.',
  );
}

/** Throws if the array was detached while a call wrote it. */
export function requireKept(out: FloatArray, length: number): void {
  if (rawView(out).length === length) return;
  throw new SelectiveScanError(
    'ERR_SHAPE',
    'Expected out to keep its memory until the call settles, but it was detached.',
  );
}
