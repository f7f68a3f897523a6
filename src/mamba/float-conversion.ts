import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from '../dtype.js';

/** The dtypes of weights. */
export type FloatDType = 'float32' | 'float16' | 'bfloat16';

const floatDTypes: ReadonlySet<unknown> = new Set<FloatDType>(['float32', 'float16', 'bfloat16']);

export function isFloatDType(value: unknown): value is FloatDType {
  return floatDTypes.has(value);
}

/** Float32 values, or the bits of 16-bit ones. */
export type FloatBits = Float32Array | Uint16Array;

/**
 * Values of one dtype as the nearest ones of another, ties to even. Going over float32, which holds every 16-bit value,
 * rounds once.
 */
export function convertFloats(values: FloatBits, from: FloatDType, to: FloatDType): FloatBits {
  if (from === to) return values;
  const wide = from === 'float32' ? values : map(values, new Float32Array(values.length), widening[from]);
  return to === 'float32' ? wide : map(wide, new Uint16Array(wide.length), rounding[to]);
}

const widening = { float16: fromFloat16, bfloat16: fromBFloat16 };
const rounding = { float16: toFloat16, bfloat16: toBFloat16 };

/** As the `from` of typed arrays, which takes ten times as long. */
function map(values: FloatBits, into: FloatBits, convert: (value: number) => number): FloatBits {
  for (let i = 0; i < values.length; i++) into[i] = convert(values[i] as number);
  return into;
}
