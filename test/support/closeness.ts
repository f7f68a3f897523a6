import { seeded } from './random';
import { plainFloat32Scan, type Round, referenceScan, type ScanOutputs } from './reference';
import { type FloatType, roundTo } from './rounding';
import type { ScanCase } from './scan-case';

/** The stated bounds on the norm of the difference over the norm of the float64 result. */
export const outBound: Record<FloatType, number> = { float32: 5e-7, float16: 2.5e-4, bfloat16: 2e-3 };
export const stateBound = 4e-6;

export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < want.length; i++) {
    difference += ((got[i] as number) - (want[i] as number)) ** 2;
    size += (want[i] as number) ** 2;
  }
  return size === 0 ? Math.sqrt(difference) : Math.sqrt(difference / size);
}

export interface Limits {
  out: number;
  lastState: number;
}

/**
 * A result may be as wrong as the stated bounds, or, where a problem is worse conditioned than theirs, twice as wrong as
 * a plain loop in float32 whose outputs are rounded to the dtype.
 */
export function limitsOf(c: ScanCase, want: ScanOutputs): Limits {
  const limits = { out: outBound[c.dtype], lastState: stateBound };
  for (const round of roundings(c)) {
    const plain = plainFloat32Scan(c, round);
    const out = plain.out.map((y) => roundTo(c.dtype, y));
    limits.out = Math.max(limits.out, 2 * relativeError(out, want.out));
    limits.lastState = Math.max(limits.lastState, 2 * relativeError(plain.lastState, want.lastState));
  }
  return limits;
}

/**
 * Rounding to nearest; and where outputs are so few that it may hit them by luck, also rounding up or down at random,
 * which shows how far off a plain loop can be.
 */
function roundings(c: ScanCase): Round[] {
  if (c.u.length > 100) return [Math.fround];
  const atRandom = [1, 2, 3, 4].map((seed): Round => {
    const random = seeded(seed);
    return (x) => Math.fround(x * (1 + random.uniform(-(2 ** -24), 2 ** -24)));
  });
  return [Math.fround, ...atRandom];
}

export interface Outputs {
  out: ArrayLike<number>;
  lastState: ArrayLike<number>;
}

/** One sentence for each output beyond its limit; none if all is well. */
export function complaints(got: Outputs, want: Outputs, limits: Limits, where = ''): string[] {
  return (['out', 'lastState'] as const).flatMap((name) => {
    const error = relativeError(got[name], want[name]);
    return error <= limits[name] ? [] : [`${where} ${name}: error ${error} above ${limits[name]}`.trim()];
  });
}

/** Holds a result against the float64 reference. */
export function complaintsAgainstReference(c: ScanCase, got: Outputs, where = ''): string[] {
  const want = referenceScan(c);
  return complaints(got, want, limitsOf(c, want), where);
}
