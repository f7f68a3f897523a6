// Four floats in a NEON register of AArch64.
#pragma once

#include <arm_neon.h>

#include <cstring>

#include "simd_types.h"

namespace selective_scan {
namespace {  // internal linkage: every vector set has a Vec of its own

struct Vec {
  static constexpr int kLanes = 4;
  static constexpr int kStates = 16;  // of the 32 registers, those that hold a block of states

  float32x4_t v;

  static Vec set(float x) { return {vdupq_n_f32(x)}; }
  static Vec zero() { return {vdupq_n_f32(0.0f)}; }
};

inline Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }   // a * b + c
inline Vec fnma(Vec a, Vec b, Vec c) { return {vfmsq_f32(c.v, a.v, b.v)}; }  // c - a * b
// a * b - c with one rounding, at the end.
inline Vec exact_product_minus(Vec a, Vec b, Vec c) { return {vnegq_f32(vfmsq_f32(c.v, a.v, b.v))}; }
inline Vec round_nearest(Vec x) { return {vrndnq_f32(x.v)}; }

// a > b ? yes : no; no where either is NaN.
inline Vec select_greater(Vec a, Vec b, Vec yes, Vec no) { return {vbslq_f32(vcgtq_f32(a.v, b.v), yes.v, no.v)}; }

// x = fraction + exponent with |fraction| <= 0.5, x first held to -127 .. 128. The exponent is returned as a float
// whose lowest bits are the biased integer: adding 1.5 * 2^23 + 127 both rounds x and puts it there. NaN passes
// through.
inline Vec split_exponent(Vec x, Vec* exponent) {
  const Vec magic = Vec::set(12583039.0f);
  const Vec held = {vminq_f32(vmaxq_f32(x.v, vdupq_n_f32(-127.0f)), vdupq_n_f32(128.0f))};
  *exponent = held + magic;
  return held - (*exponent - magic);
}
// 2^-127 becomes 0 and 2^128 infinity, as their biased exponents are.
inline Vec scale_by_exponent(Vec p, Vec exponent) {
  return p * Vec{vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(exponent.v), 23))};
}

// x = mantissa * 2^power with the mantissa in [sqrt(1/2), sqrt(2)), for positive normal x; inverse = 2^-power.
inline Vec split_mantissa(Vec x, Vec* power, Vec* inverse) {
  const int32x4_t one = vdupq_n_s32(0x3f800000);
  const int32x4_t root_half = vdupq_n_s32(0x3f3504f3);
  const int32x4_t bits = vreinterpretq_s32_f32(x.v);
  const int32x4_t exponent = vshrq_n_s32(vsubq_s32(bits, root_half), 23);
  *power = {vcvtq_f32_s32(exponent)};
  const int32x4_t exponent_bits = vshlq_n_s32(exponent, 23);
  *inverse = {vreinterpretq_f32_s32(vsubq_s32(one, exponent_bits))};
  return {vreinterpretq_f32_s32(vsubq_s32(bits, exponent_bits))};
}

// The first and the second half of a0 b0 a1 b1 ...
inline Vec zip_low(Vec a, Vec b) { return {vzip1q_f32(a.v, b.v)}; }
inline Vec zip_high(Vec a, Vec b) { return {vzip2q_f32(a.v, b.v)}; }

inline Vec widen(uint16x4_t bits, const Float16*) { return {vcvt_f32_f16(vreinterpret_f16_u16(bits))}; }
inline Vec widen(uint16x4_t bits, const BFloat16*) { return {vreinterpretq_f32_u32(vshll_n_u16(bits, 16))}; }
inline uint16x4_t narrow(Vec x, const Float16*) { return vreinterpret_u16_f16(vcvt_f16_f32(x.v)); }
inline uint16x4_t narrow(Vec x, const BFloat16*) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x.v);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  return vshrn_n_u32(vbslq_u32(vceqq_f32(x.v, x.v), rounded, quiet), 16);
}

inline Vec load(const float* p) { return {vld1q_f32(p)}; }
inline void store(float* p, Vec x) { vst1q_f32(p, x.v); }
template <class T>
Vec load(const T* p) {
  return widen(vld1_u16(&p->bits), p);
}
template <class T>
void store(T* p, Vec x) {
  vst1_u16(&p->bits, narrow(x, p));
}

// The first `count` < kLanes elements, and zeros; nothing past them is touched.
template <class T>
Vec load(const T* p, int count) {
  T whole[Vec::kLanes] = {};
  std::memcpy(whole, p, static_cast<size_t>(count) * sizeof(T));
  return load(whole);
}
template <class T>
void store(T* p, Vec x, int count) {
  T whole[Vec::kLanes];
  store(whole, x);
  std::memcpy(p, whole, static_cast<size_t>(count) * sizeof(T));
}

}  // namespace
}  // namespace selective_scan
