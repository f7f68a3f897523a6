// Sixteen floats in an AVX-512 register (F, BW, DQ and VL).
#pragma once

#include <immintrin.h>

#include "simd_types.h"

namespace selective_scan {
namespace {  // internal linkage: this code must never be merged with a build of it for another vector set

struct Vec {
  static constexpr int kLanes = 16;
  static constexpr int kStates = 16;  // of the 32 registers, those that hold a block of states

  __m512 v;

  static Vec set(float x) { return {_mm512_set1_ps(x)}; }
  static Vec zero() { return {_mm512_setzero_ps()}; }
};

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }    // a * b + c
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }  // c - a * b
// a * b - c with one rounding, at the end.
inline Vec exact_product_minus(Vec a, Vec b, Vec c) { return {_mm512_fmsub_ps(a.v, b.v, c.v)}; }
inline Vec round_nearest(Vec x) { return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

// a > b ? yes : no; no where either is NaN.
inline Vec select_greater(Vec a, Vec b, Vec yes, Vec no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), no.v, yes.v)};
}

// x = fraction + exponent with |fraction| <= 0.5. An infinite x leaves fraction 0.
inline Vec split_exponent(Vec x, Vec* exponent) {
  const Vec fraction = {_mm512_reduce_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  *exponent = x - fraction;
  return fraction;
}
inline Vec scale_by_exponent(Vec p, Vec exponent) { return {_mm512_scalef_ps(p.v, exponent.v)}; }

// x = mantissa * 2^power with the mantissa in [sqrt(1/2), sqrt(2)), for positive normal x; inverse = 2^-power.
inline Vec split_mantissa(Vec x, Vec* power, Vec* inverse) {
  const __m512i one = _mm512_set1_epi32(0x3f800000);
  const __m512i root_half = _mm512_set1_epi32(0x3f3504f3);
  const __m512i shifted = _mm512_sub_epi32(_mm512_castps_si512(x.v), root_half);
  const __m512i exponent = _mm512_srai_epi32(shifted, 23);
  *power = {_mm512_cvtepi32_ps(exponent)};
  const __m512i exponent_bits = _mm512_slli_epi32(exponent, 23);
  *inverse = {_mm512_castsi512_ps(_mm512_sub_epi32(one, exponent_bits))};
  return {_mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(x.v), exponent_bits))};
}

// The first and the second half of a0 b0 a1 b1 ...
inline Vec zip_low(Vec a, Vec b) {
  const __m512i index = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return {_mm512_permutex2var_ps(a.v, index, b.v)};
}
inline Vec zip_high(Vec a, Vec b) {
  const __m512i index = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  return {_mm512_permutex2var_ps(a.v, index, b.v)};
}

inline __mmask16 first_lanes(int count) { return static_cast<__mmask16>((1u << count) - 1); }

inline Vec widen_float16(__m256i bits) { return {_mm512_cvtph_ps(bits)}; }
inline Vec widen_bfloat16(__m256i bits) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
inline __m256i narrow_float16(Vec x) { return _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline __m256i narrow_bfloat16(Vec x) {
  const __m512i bits = _mm512_castps_si512(x.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_blend_epi32(is_nan, rounded, quiet), 16));
}

inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Vec load(const Float16* p) { return widen_float16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline Vec load(const BFloat16* p) { return widen_bfloat16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }

// The first `count` < kLanes elements, and zeros; nothing past them is touched.
inline Vec load(const float* p, int count) { return {_mm512_maskz_loadu_ps(first_lanes(count), p)}; }
inline Vec load(const Float16* p, int count) { return widen_float16(_mm256_maskz_loadu_epi16(first_lanes(count), p)); }
inline Vec load(const BFloat16* p, int count) {
  return widen_bfloat16(_mm256_maskz_loadu_epi16(first_lanes(count), p));
}

inline void store(float* p, Vec x) { _mm512_storeu_ps(p, x.v); }
inline void store(Float16* p, Vec x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_float16(x)); }
inline void store(BFloat16* p, Vec x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_bfloat16(x)); }
inline void store(float* p, Vec x, int count) { _mm512_mask_storeu_ps(p, first_lanes(count), x.v); }
inline void store(Float16* p, Vec x, int count) { _mm256_mask_storeu_epi16(p, first_lanes(count), narrow_float16(x)); }
inline void store(BFloat16* p, Vec x, int count) {
  _mm256_mask_storeu_epi16(p, first_lanes(count), narrow_bfloat16(x));
}

}  // namespace
}  // namespace selective_scan
