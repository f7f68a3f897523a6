// Eight floats in a plain array: the meaning of every wrapper, for machines that have no other. The loops are of
// constant length so that a compiler can use whatever vector instructions its target has.
#pragma once

#include <cmath>
#include <cstring>

// A vector is itself a loop here: unrolling those around it would only bloat the code.
#define SELECTIVE_SCAN_UNROLL
#include "simd_types.h"

namespace selective_scan {
namespace {  // internal linkage: every vector set has a Vec of its own

struct Vec {
  static constexpr int kLanes = 8;
  static constexpr int kStates = 4;

  float v[kLanes];

  static Vec set(float x) {
    Vec r;
    for (float& lane : r.v) lane = x;
    return r;
  }
  static Vec zero() { return set(0.0f); }
};

template <class F>
inline Vec each_lane(F f) {
  Vec r;
  for (int i = 0; i < Vec::kLanes; ++i) r.v[i] = f(i);
  return r;
}

inline float bits_to_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline uint32_t float_to_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline Vec operator+(const Vec& a, const Vec& b) {
  return each_lane([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec operator-(const Vec& a, const Vec& b) {
  return each_lane([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vec operator*(const Vec& a, const Vec& b) {
  return each_lane([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec operator/(const Vec& a, const Vec& b) {
  return each_lane([&](int i) { return a.v[i] / b.v[i]; });
}
inline Vec fma(const Vec& a, const Vec& b, const Vec& c) { return a * b + c; }
inline Vec fnma(const Vec& a, const Vec& b, const Vec& c) { return c - a * b; }
// a * b - c with one rounding, at the end: a double holds the product of two floats.
inline Vec exact_product_minus(const Vec& a, const Vec& b, const Vec& c) {
  return each_lane([&](int i) { return static_cast<float>(static_cast<double>(a.v[i]) * b.v[i] - c.v[i]); });
}
inline Vec round_nearest(const Vec& x) {
  return each_lane([&](int i) {
    const float magic = std::copysign(8388608.0f, x.v[i]);  // from 2^23 on every float is an integer
    return std::fabs(x.v[i]) < 8388608.0f ? (x.v[i] + magic) - magic : x.v[i];
  });
}

// a > b ? yes : no; no where either is NaN.
inline Vec select_greater(const Vec& a, const Vec& b, const Vec& yes, const Vec& no) {
  return each_lane([&](int i) { return a.v[i] > b.v[i] ? yes.v[i] : no.v[i]; });
}

// x = fraction + exponent with |fraction| <= 0.5, x first held to -127 .. 128. The exponent is returned as a float
// whose lowest bits are the biased integer: adding 1.5 * 2^23 + 127 both rounds x and puts it there. NaN passes
// through.
inline Vec split_exponent(const Vec& x, Vec* exponent) {
  const Vec magic = Vec::set(12583039.0f);
  const Vec above = each_lane([&](int i) { return x.v[i] < -127.0f ? -127.0f : x.v[i]; });
  const Vec held = each_lane([&](int i) { return above.v[i] > 128.0f ? 128.0f : above.v[i]; });
  *exponent = held + magic;
  return held - (*exponent - magic);
}
// 2^-127 becomes 0 and 2^128 infinity, as their biased exponents are.
inline Vec scale_by_exponent(const Vec& p, const Vec& exponent) {
  return each_lane([&](int i) { return p.v[i] * bits_to_float(float_to_bits(exponent.v[i]) << 23); });
}

// x = mantissa * 2^power with the mantissa in [sqrt(1/2), sqrt(2)), for positive normal x; inverse = 2^-power.
inline Vec split_mantissa(const Vec& x, Vec* power, Vec* inverse) {
  Vec mantissa;
  for (int i = 0; i < Vec::kLanes; ++i) {
    const uint32_t bits = float_to_bits(x.v[i]);
    const int32_t exponent = static_cast<int32_t>((bits - 0x3f3504f3u + 0x40000000u) >> 23) - 128;
    const uint32_t exponent_bits = static_cast<uint32_t>(exponent) << 23;
    power->v[i] = static_cast<float>(exponent);
    inverse->v[i] = bits_to_float(0x3f800000u - exponent_bits);
    mantissa.v[i] = bits_to_float(bits - exponent_bits);
  }
  return mantissa;
}

// The first and the second half of a0 b0 a1 b1 ...
inline Vec zip_low(const Vec& a, const Vec& b) {
  return each_lane([&](int i) { return (i % 2 ? b : a).v[i / 2]; });
}
inline Vec zip_high(const Vec& a, const Vec& b) {
  return each_lane([&](int i) { return (i % 2 ? b : a).v[Vec::kLanes / 2 + i / 2]; });
}

inline float widen(float x) { return x; }
inline float widen(BFloat16 x) { return bits_to_float(static_cast<uint32_t>(x.bits) << 16); }
inline float widen(Float16 x) {
  const uint32_t magnitude = x.bits & 0x7fffu;
  const uint32_t rebias = magnitude >= 0x7c00u ? 0x70000000u : 0x38000000u;  // infinity and NaN keep a full exponent
  const float normal = bits_to_float((magnitude << 13) + rebias);
  const float subnormal = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f;
  const float value = magnitude < 0x400u ? subnormal : normal;
  return x.bits & 0x8000u ? -value : value;
}

inline void narrow(float x, float* out) { *out = x; }
inline void narrow(float x, BFloat16* out) {
  const uint32_t bits = float_to_bits(x);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  out->bits = static_cast<uint16_t>((x != x ? bits | 0x400000 : rounded) >> 16);
}
inline void narrow(float x, Float16* out) {
  const uint32_t sign = float_to_bits(x) >> 16 & 0x8000u;
  const float magnitude = std::fabs(x);
  const uint32_t bits = float_to_bits(magnitude);
  // Subnormal results: adding 0.5 leaves the rounded multiple of 2^-24 in the lowest bits.
  const uint32_t small = float_to_bits(magnitude + 0.5f) - 0x3f000000u;
  const uint32_t normal = (bits - 0x38000000u + 0xfff + (bits >> 13 & 1)) >> 13;
  uint32_t half = magnitude < 0x1p-14f ? small : normal;
  if (!(magnitude < 65520.0f)) half = x != x ? 0x7e00u : 0x7c00u;
  out->bits = static_cast<uint16_t>(half | sign);
}

// With a `count`: the first `count` elements, and zeros; nothing past them is touched.
template <class T>
Vec load(const T* p) {
  return each_lane([&](int i) { return widen(p[i]); });
}
template <class T>
Vec load(const T* p, int count) {
  Vec r = Vec::zero();
  for (int i = 0; i < count; ++i) r.v[i] = widen(p[i]);
  return r;
}
template <class T>
void store(T* p, const Vec& x, int count = Vec::kLanes) {
  for (int i = 0; i < count; ++i) narrow(x.v[i], p + i);
}

}  // namespace
}  // namespace selective_scan
