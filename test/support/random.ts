// Named once: inside jest every use of a global is a look-up through its sandbox.
const { cos, floor, imul, log, PI, sqrt } = Math;

export interface Random {
  /** In [low, high). */
  uniform(low?: number, high?: number): number;
  normal(): number;
  /** A whole number in [low, high]. */
  integer(low: number, high: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** A seeded generator (mulberry32), so that a failing case comes back. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = imul(state ^ (state >>> 15), state | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const uniform = (low = 0, high = 1): number => low + (high - low) * next();
  const integer = (low: number, high: number): number => floor(uniform(low, high + 1));
  return {
    uniform,
    integer,
    normal: () => sqrt(-2 * log(1 - next())) * cos(2 * PI * next()), // Box and Muller
    pick: (choices) => choices[integer(0, choices.length - 1)] as (typeof choices)[number],
  };
}
