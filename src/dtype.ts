/** Element types. complex64 is a pair of float32: real part, imaginary part. */
export type DType = 'float32' | 'float16' | 'bfloat16' | 'complex64' | 'int32';

/** Bytes of one element. */
export const bytesOf: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  complex64: 8,
  int32: 4,
};

/** The numbers by which the native side knows them (native/ops.h, DType). */
export const nativeCode: Readonly<Record<DType, number>> = {
  float32: 0,
  float16: 1,
  bfloat16: 2,
  complex64: 3,
  int32: 4,
};

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(bytesOf, value);
}

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

function bitsOf(value: number): number {
  scratchFloat[0] = value;
  return scratchBits[0] as number;
}

function floatOf(bits: number): number {
  scratchBits[0] = bits;
  return scratchFloat[0] as number;
}

/** The bits of a float32 rounded to bfloat16, to nearest even. */
export function toBFloat16(value: number): number {
  const bits = bitsOf(value);
  // Rounding could carry a NaN's payload away and leave infinity: keep it quiet and keep it NaN.
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

export function fromBFloat16(bits: number): number {
  return floatOf(bits << 16);
}

/** The bits of a float32 rounded to float16 (IEEE 754 binary16), to nearest even. */
export function toFloat16(value: number): number {
  const bits = bitsOf(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to 65536 or more: infinity
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 leaves the value's multiple of 2^-24, rounded, in the sum's low bits.
    return sign | (bitsOf(floatOf(magnitude) + 0.5) - 0x3f000000);
  }
  // Rebase the exponent (127 to 15), then round the 13 bits that go.
  const rebased = magnitude - 0x38000000;
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
