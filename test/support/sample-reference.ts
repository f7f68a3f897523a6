import type { SampleRule } from 'selective-scan';

const { exp, fround, max, min } = Math;

/** Philox4x32-10 (Salmon et al. 2011), from the paper. */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  const word = 0xffffffffn;
  let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [low, high] = key.map(BigInt) as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const [first, second] = [a * 0xd2511f53n, c * 0xcd9e8d57n];
    [a, b, c, d] = [(second >> 32n) ^ b ^ low, second & word, (first >> 32n) ^ d ^ high, first & word];
    low = (low + 0x9e3779b9n) & word;
    high = (high + 0xbb67ae85n) & word;
  }
  return [a, b, c, d].map(Number);
}

/** The uniform number, in [0, 1), of a row's seed and counter. */
export function uniformOf([low, high, counter]: readonly number[]): number {
  const unsigned = (value: number | undefined): number => (value as number) >>> 0;
  const words = philox([unsigned(counter), 0, 0, 0], [unsigned(low), unsigned(high)]);
  return ((words[1] as number) * 2 ** 32 + (words[0] as number)) / 2 ** 64;
}

/** What is left of a row by the filters: tokens by index, and the distribution function at each. */
export interface Kept {
  tokens: number[];
  upTo: number[];
}

/** Plainly from the definitions, in float64 but for the penalty, which is float32's. */
export function keptTokens(logits: ArrayLike<number>, rule: SampleRule, seen?: ArrayLike<number>): Kept {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = rule;
  const penalty = fround(repetitionPenalty);
  const penalised = Array.from(logits, (l, i) => {
    if (!seen || (seen[i] as number) <= 0) return l;
    return fround(l > 0 ? l / penalty : l * penalty);
  });
  const logit = (token: number): number => penalised[token] as number;
  const order = [...penalised.keys()].sort((i, j) => logit(j) - logit(i) || i - j);
  const greatest = logit(order[0] as number);
  const weight = (token: number): number => exp((logit(token) - greatest) / temperature);
  const total = (tokens: number[]): number => tokens.reduce((sum, token) => sum + weight(token), 0);

  let kept = topK > 0 ? order.slice(0, topK) : order;
  if (topP < 1) {
    const wanted = topP * total(kept);
    let sum = 0;
    const last = kept.findIndex((token) => {
      sum += weight(token);
      return sum >= wanted;
    });
    kept = kept.slice(0, last + 1);
  }
  const tokens = kept.filter((token) => weight(token) >= minP).sort((i, j) => i - j);
  const whole = total(tokens);
  let sum = 0;
  const upTo = tokens.map((token) => {
    sum += weight(token);
    return sum / whole;
  });
  return { tokens, upTo };
}

/**
 * The tokens that may be drawn at a uniform number: one, but where rounding decides. Probabilities are of float32, so
 * that neither the distribution function nor where the filters cut is better known than to some 1e-6.
 */
export function drawable(logits: ArrayLike<number>, rule: SampleRule, seen?: ArrayLike<number>) {
  const { topP = 1, minP = 0 } = rule;
  const slack = 3e-6;
  const rules = [1 - slack, 1, 1 + slack].map((f) => ({
    ...rule,
    minP: minP * f,
    topP: topP < 1 ? min(topP * f, 1) : 1,
  }));
  const cuts = rules.map((changed) => keptTokens(logits, changed, seen));
  return (uniform: number): Set<number> => {
    const at = ({ tokens, upTo }: Kept, u: number): number =>
      tokens[upTo.findIndex((end) => u < end)] ?? (tokens.at(-1) as number);
    return new Set(
      cuts.flatMap((kept) => [at(kept, max(0, uniform - slack)), at(kept, uniform), at(kept, uniform + slack)]),
    );
  };
}

/** The log-softmax of a row at a token. */
export function logProbability(logits: ArrayLike<number>, token: number): number {
  const greatest = Array.from(logits).reduce((most, l) => max(most, l));
  const sum = Array.from(logits).reduce((all, l) => all + exp(l - greatest), 0);
  return (logits[token] as number) - greatest - Math.log(sum);
}
