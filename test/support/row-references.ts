import { mapRows } from './rows';

/** Plainly from the definition, in float64. */
export function referenceRmsNorm(
  x: Float64Array,
  residual: Float64Array | undefined,
  weight: Float64Array,
  eps: number,
) {
  const sum = x.map((value, i) => value + (residual?.[i] ?? 0));
  const out = mapRows(sum, weight.length, (row) => {
    const mean = row.reduce((squares, r) => squares + r * r, 0) / row.length;
    return row.map((r, i) => (r / Math.sqrt(mean + eps)) * (weight[i] as number));
  });
  return { sum, out };
}

/** Plainly from the definition, in float64. */
export function referenceSoftmax(x: Float64Array, n: number, isLog: boolean): Float64Array {
  return mapRows(x, n, (row) => {
    const maximum = row.reduce((most, value) => Math.max(most, value));
    const sum = row.reduce((total, value) => total + Math.exp(value - maximum), 0);
    return row.map((value) => (isLog ? value - maximum - Math.log(sum) : Math.exp(value - maximum) / sum));
  });
}
