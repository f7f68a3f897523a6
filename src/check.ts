import { type ErrorCode, SelectiveScanError } from './errors.js';

/** An axis of an expected shape: its name, as in the documentation, and its size. */
export type Axis = readonly [name: string, size: number];

/** «Expected delta to have shape [batch, dim, seqlen] = [2, 64, 128] but received [2, 64, 127].» */
export function shapeError(name: string, axes: readonly Axis[], dims: readonly number[]): SelectiveScanError {
  const names = axes.map(([axis]) => axis).join(', ');
  const sizes = axes.map(([, size]) => size).join(', ');
  return new SelectiveScanError(
    'ERR_SHAPE',
    `Expected ${name} to have shape [${names}] = [${sizes}] but received [${dims.join(', ')}].`,
  );
}

/** «Expected delta to have length batch * dim * seqlen = 16384 but received 16256.» */
export function lengthError(name: string, axes: readonly Axis[], length: number): SelectiveScanError {
  const names = axes.map(([axis]) => (axis.includes(' ') ? `(${axis})` : axis)).join(' * ');
  return new SelectiveScanError(
    'ERR_SHAPE',
    `Expected ${name} to have length ${names} = ${sizeOf(axes)} but received ${length}.`,
  );
}

/** Elements in a shape. */
export function sizeOf(axes: readonly Axis[]): number {
  return axes.reduce((product, [, size]) => product * size, 1);
}

/** A size the caller gave: a whole number from `least` up that a double holds exactly. */
export function checkSize(name: string, value: unknown, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw new SelectiveScanError(
    'ERR_SHAPE',
    `Expected ${name} to be a whole number of at least ${least} but received ${describe(value)}.`,
  );
}

/** Groups of channels that share B and C. */
export function checkGroups(groups: number, dim: number): number {
  if (dim % groups === 0) return groups;
  throw new SelectiveScanError('ERR_SHAPE', `Expected groups to divide dim = ${dim} but received ${groups} groups.`);
}

/** An option that is true, false or left out (false). */
export function checkFlag(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new SelectiveScanError('ERR_OPTION', `Expected ${name} to be true or false but received ${describe(value)}.`);
}

/** Runs what may run code of the caller's, a getter or a proxy's trap; an error of theirs becomes the cause of ours. */
export function guarded<T>(name: string, code: ErrorCode, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof SelectiveScanError) throw cause;
    throw new SelectiveScanError(code, `Expected ${name} to be readable but reading it threw an error.`, { cause });
  }
}

/** An options object, copied so that each property is read once; with no property that is not known. */
export function readOptions<T extends object>(options: unknown, known: ReadonlySet<string>, name: string): T {
  if (typeof options !== 'object' || options === null) {
    throw new SelectiveScanError('ERR_OPTION', `Expected ${name} to be an object but received ${describe(options)}.`);
  }
  const copy: Record<string, unknown> = guarded(name, 'ERR_OPTION', () => ({ ...options }));
  for (const key in copy) {
    if (copy[key] !== undefined && !known.has(key)) {
      throw new SelectiveScanError('ERR_OPTION', `Expected ${name} to have known properties but received '${key}'.`);
    }
  }
  return copy as T;
}

/** A value in an error message: short, and without running the caller's code. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (value === null || ['undefined', 'number', 'boolean'].includes(typeof value)) return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  return isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

/** Array.isArray throws where the value is a revoked proxy. */
function isArray(value: unknown): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}
