// The arithmetic of sample, shared so that the backends choose the same tokens. Probabilities are weights in fixed
// point, whose sums are the same in any order. Floats are rounded after each operation: files that include this are
// compiled without contraction to fused multiply-adds.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define SELECTIVE_SCAN_EVERYWHERE __host__ __device__ __forceinline__
#else
#define SELECTIVE_SCAN_EVERYWHERE inline
#endif

namespace selective_scan {

// The greatest weight is 2^40; kMostVocab of them can be summed.
constexpr int kWeightBits = 40;

namespace {  // internal linkage: each vector set has a build of its own

SELECTIVE_SCAN_EVERYWHERE uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}

SELECTIVE_SCAN_EVERYWHERE float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

SELECTIVE_SCAN_EVERYWHERE float penalised(float logit, float penalty) {
  return logit > 0.0f ? logit / penalty : logit * penalty;
}

// Unsigned numbers in the order of the floats, zeros of both signs being one; 0 is of no float.
SELECTIVE_SCAN_EVERYWHERE uint32_t order_of(float x) {
  const uint32_t bits = bits_of(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

SELECTIVE_SCAN_EVERYWHERE float float_of_order(uint32_t order) {
  return float_of(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}

// Tokens from the first to the last: the greatest logit first, of equal ones the lowest index.
SELECTIVE_SCAN_EVERYWHERE uint64_t rank_of(uint32_t order, uint32_t index) {
  return static_cast<uint64_t>(~order) << 32 | index;
}

// What exponents are multiplied by, to be powers of two of logits over the temperature.
SELECTIVE_SCAN_EVERYWHERE float scale_of(double temperature) {
  return static_cast<float>(1.4426950408889634 / temperature);
}

// The exponent of a token's weight, at most 0. An infinite maximum is equal to itself.
SELECTIVE_SCAN_EVERYWHERE float exponent_of(float logit, float maximum, float scale) {
  return logit == maximum ? 0.0f : (logit - maximum) * scale;
}

// 2^x for x <= 0, but 2^-64 below that: 2^f = 1 + f q(f) on [-1/2, 1/2], relative error 1e-8 before rounding.
SELECTIVE_SCAN_EVERYWHERE float exp2_of(float x) {
  x = x > -64.0f ? x : -64.0f;
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: the whole part of x goes to the lowest bits of the sum
  const float shifted = x + kMagic;
  const float f = x - (shifted - kMagic);
  float q = 0.000153983943f;
  q = q * f + 0.00133877667f;
  q = q * f + 0.00961824786f;
  q = q * f + 0.0555036664f;
  q = q * f + 0.240226492f;
  q = q * f + 0.693147182f;
  return float_of(bits_of(q * f + 1.0f) + (bits_of(shifted) << 23));
}

// The most probable token's share, 1, is the weight 2^40; what is 2^-40 of it or less has none.
SELECTIVE_SCAN_EVERYWHERE uint64_t weight_of_share(float share) {
  return static_cast<uint64_t>(static_cast<int64_t>(share * static_cast<float>(int64_t{1} << kWeightBits)));
}

SELECTIVE_SCAN_EVERYWHERE uint64_t weight_of(float exponent) { return weight_of_share(exp2_of(exponent)); }

// The least weight of a token that may be drawn.
SELECTIVE_SCAN_EVERYWHERE uint64_t least_weight(double min_p) {
  const auto least = static_cast<uint64_t>(ceil(min_p * static_cast<double>(int64_t{1} << kWeightBits)));
  return least > 1 ? least : 1;
}

// The weight that the tokens of top_p have to reach.
SELECTIVE_SCAN_EVERYWHERE uint64_t share_of(uint64_t total, double top_p) {
  const auto share = static_cast<uint64_t>(ceil(top_p * static_cast<double>(total)));
  return share < 1 ? 1 : share > total ? total : share;
}

// Weights are counted in bins of exponents, evenly spaced: logits spread over many of them.
constexpr int kBins = 2048;
SELECTIVE_SCAN_EVERYWHERE int bin_of(float exponent) {
  constexpr float kPerOctave = 51.0f;  // of a weight; those of all that have one then fit
  const float bin = exponent * -kPerOctave;
  return bin < kBins - 1 ? static_cast<int>(bin) : kBins - 1;
}

// Philox4x32-10 of the counter (counter, 0, 0, 0): the first two of its four words.
SELECTIVE_SCAN_EVERYWHERE uint64_t philox(uint32_t key_low, uint32_t key_high, uint32_t counter) {
  uint32_t words[4] = {counter, 0, 0, 0};
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = static_cast<uint64_t>(words[0]) * 0xd2511f53u;
    const uint64_t second = static_cast<uint64_t>(words[2]) * 0xcd9e8d57u;
    words[0] = static_cast<uint32_t>(second >> 32) ^ words[1] ^ key_low;
    words[1] = static_cast<uint32_t>(second);
    words[2] = static_cast<uint32_t>(first >> 32) ^ words[3] ^ key_high;
    words[3] = static_cast<uint32_t>(first);
    key_low += 0x9e3779b9u;
    key_high += 0xbb67ae85u;
  }
  return static_cast<uint64_t>(words[1]) << 32 | words[0];
}

// total * bits / 2^64, which is below total.
SELECTIVE_SCAN_EVERYWHERE uint64_t fraction_of(uint64_t total, uint64_t bits) {
  const uint64_t low = (total & 0xffffffffu) * (bits & 0xffffffffu);
  const uint64_t middle = (total >> 32) * (bits & 0xffffffffu) + (low >> 32);
  const uint64_t other = (total & 0xffffffffu) * (bits >> 32) + (middle & 0xffffffffu);
  return (total >> 32) * (bits >> 32) + (middle >> 32) + (other >> 32);
}

}  // namespace
}  // namespace selective_scan
