// Values and bit patterns of the 16-bit floats, written from their definition and not from the package's code.

// Named once: inside jest every use of a global is a look-up through its sandbox.
const { abs, floor, fround, log2, max, round, sign } = Math;

export type FloatType = 'float32' | 'float16' | 'bfloat16';

interface Format {
  fractionBits: number;
  minExponent: number; // of the smallest normal number
  maxFinite: number;
}

const formats = {
  float16: { fractionBits: 10, minExponent: -14, maxFinite: 65504 },
  bfloat16: { fractionBits: 7, minExponent: -126, maxFinite: 2 ** 127 * (2 - 2 ** -7) },
} satisfies Record<string, Format>;

/** The value nearest to x in the type, ties to even, beyond the range infinity. */
export function roundTo(type: FloatType, x: number): number {
  if (type === 'float32') return fround(x);
  if (!Number.isFinite(x) || x === 0) return x;
  const { fractionBits, minExponent, maxFinite } = formats[type];
  const spacing = 2 ** (max(exponentOf(x), minExponent) - fractionBits);
  const rounded = roundHalfToEven(x / spacing) * spacing; // both steps exact: spacing is a power of two
  return sign(x) * (abs(rounded) > maxFinite ? Number.POSITIVE_INFINITY : abs(rounded)); // 0 keeps its sign
}

/** The value of a bit pattern. */
export function valueOfBits(type: 'float16' | 'bfloat16', bits: number): number {
  const { fractionBits, minExponent } = formats[type];
  const unit = bits & 0x8000 ? -1 : 1;
  const fraction = bits & (2 ** fractionBits - 1);
  const biased = (bits & 0x7fff) >> fractionBits;
  const allOnes = 0x7fff >> fractionBits;
  if (biased === allOnes) return fraction === 0 ? unit * Number.POSITIVE_INFINITY : Number.NaN;
  if (biased === 0) return unit * fraction * 2 ** (minExponent - fractionBits);
  return unit * (1 + fraction / 2 ** fractionBits) * 2 ** (biased - 1 + minExponent);
}

function exponentOf(x: number): number {
  const exponent = floor(log2(abs(x)));
  // log2 rounds, so that just below a power of two it may name the next one.
  return abs(x) < 2 ** exponent ? exponent - 1 : abs(x) >= 2 ** (exponent + 1) ? exponent + 1 : exponent;
}

function roundHalfToEven(x: number): number {
  const below = floor(x);
  const rest = x - below;
  if (rest !== 0.5) return round(x);
  return below % 2 === 0 ? below : below + 1;
}
