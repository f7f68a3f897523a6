// Eight floats in an AVX2 register (with FMA and F16C).
#pragma once

#include <immintrin.h>

#include <cstring>

#include "simd_types.h"

namespace selective_scan {
namespace {  // internal linkage: this code must never be merged with a build of it for another vector set

struct Vec {
  static constexpr int kLanes = 8;
  static constexpr int kStates = 8;  // of the 16 registers, those that hold a block of states

  __m256 v;

  static Vec set(float x) { return {_mm256_set1_ps(x)}; }
  static Vec zero() { return {_mm256_setzero_ps()}; }
};

inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }    // a * b + c
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }  // c - a * b
// a * b - c with one rounding, at the end.
inline Vec exact_product_minus(Vec a, Vec b, Vec c) { return {_mm256_fmsub_ps(a.v, b.v, c.v)}; }
inline Vec round_nearest(Vec x) { return {_mm256_round_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

// a > b ? yes : no; no where either is NaN.
inline Vec select_greater(Vec a, Vec b, Vec yes, Vec no) {
  return {_mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))};
}

// x = fraction + exponent with |fraction| <= 0.5, x first held to -127 .. 128. The exponent is returned as a float
// whose lowest bits are the biased integer: adding 1.5 * 2^23 + 127 both rounds x and puts it there.
inline Vec split_exponent(Vec x, Vec* exponent) {
  const Vec magic = Vec::set(12583039.0f);
  // The order of operands lets a NaN through.
  const Vec held = {_mm256_min_ps(_mm256_set1_ps(128.0f), _mm256_max_ps(_mm256_set1_ps(-127.0f), x.v))};
  *exponent = held + magic;
  return held - (*exponent - magic);
}
// 2^-127 becomes 0 and 2^128 infinity, as their biased exponents are.
inline Vec scale_by_exponent(Vec p, Vec exponent) {
  return p * Vec{_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(exponent.v), 23))};
}

// x = mantissa * 2^power with the mantissa in [sqrt(1/2), sqrt(2)), for positive normal x; inverse = 2^-power.
inline Vec split_mantissa(Vec x, Vec* power, Vec* inverse) {
  const __m256i one = _mm256_set1_epi32(0x3f800000);
  const __m256i root_half = _mm256_set1_epi32(0x3f3504f3);
  const __m256i exponent = _mm256_srai_epi32(_mm256_sub_epi32(_mm256_castps_si256(x.v), root_half), 23);
  *power = {_mm256_cvtepi32_ps(exponent)};
  const __m256i exponent_bits = _mm256_slli_epi32(exponent, 23);
  *inverse = {_mm256_castsi256_ps(_mm256_sub_epi32(one, exponent_bits))};
  return {_mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(x.v), exponent_bits))};
}

// The first and the second half of a0 b0 a1 b1 ...
inline Vec zip_low(Vec a, Vec b) {
  return {_mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x20)};
}
inline Vec zip_high(Vec a, Vec b) {
  return {_mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x31)};
}

inline Vec widen(__m128i bits, const Float16*) { return {_mm256_cvtph_ps(bits)}; }
inline Vec widen(__m128i bits, const BFloat16*) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
}
inline __m128i narrow(Vec x, const Float16*) {
  return _mm256_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline __m128i narrow(Vec x, const BFloat16*) {
  const __m256i bits = _mm256_castps_si256(x.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x.v, x.v, _CMP_UNORD_Q));
  const __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
}

inline __m256i first_lanes(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline void store(float* p, Vec x) { _mm256_storeu_ps(p, x.v); }
template <class T>
Vec load(const T* p) {
  return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), p);
}
template <class T>
void store(T* p, Vec x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(x, p));
}

// The first `count` < kLanes elements, and zeros; nothing past them is touched. AVX2 has no mask for 16-bit elements.
inline Vec load(const float* p, int count) { return {_mm256_maskload_ps(p, first_lanes(count))}; }
inline void store(float* p, Vec x, int count) { _mm256_maskstore_ps(p, first_lanes(count), x.v); }
template <class T>
Vec load(const T* p, int count) {
  __m128i bits = _mm_setzero_si128();
  std::memcpy(&bits, p, static_cast<size_t>(count) * sizeof(T));
  return widen(bits, p);
}
template <class T>
void store(T* p, Vec x, int count) {
  const __m128i bits = narrow(x, p);
  std::memcpy(p, &bits, static_cast<size_t>(count) * sizeof(T));
}

}  // namespace
}  // namespace selective_scan
