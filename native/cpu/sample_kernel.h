// The passes over a row. Only what loads elements is written in vectors: the arithmetic is that of every backend
// (sample_numbers.h), in loops that compilers make vectors of. Included once for each vector set, after the header that
// defines its Vec.
#pragma once

#include <cmath>
#include <limits>

#include "../ops/sample_numbers.h"
#include "lane_parts.h"
#include "sample_passes.h"

namespace selective_scan {
namespace {

template <class Element>
void widen_row(const Element* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; i += Vec::kLanes) {
    const int lanes = lanes_at(i, count);
    store_lanes(to + i, load_lanes(from + i, lanes), lanes);
  }
}

inline void widen_row(const SampleParams& params, int64_t first, int64_t count, float* to) {
  switch (params.dtype) {
    case DType::kFloat16:
      return widen_row(static_cast<const Float16*>(params.logits) + first, count, to);
    case DType::kBFloat16:
      return widen_row(static_cast<const BFloat16*>(params.logits) + first, count, to);
    default:
      return widen_row(static_cast<const float*>(params.logits) + first, count, to);
  }
}

inline float greatest(const float* x, int64_t count) {
  Vec best = Vec::set(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + Vec::kLanes <= count; i += Vec::kLanes) best = select_greater(load(x + i), best, load(x + i), best);
  float maximum = greatest_lane(best);
  for (; i < count; ++i) maximum = x[i] > maximum ? x[i] : maximum;
  return maximum;
}

inline bool has_nan(const float* x, int64_t count) {
  uint32_t found = 0;
  for (int64_t i = 0; i < count; ++i) found |= (bits_of(x[i]) & 0x7fffffffu) > 0x7f800000u;
  return found != 0;
}

inline SampleMaxima read_row(const SampleParams& params, int64_t row, float* logits) {
  const int64_t vocab = params.vocab;
  widen_row(params, row * vocab, vocab, logits);
  SampleMaxima maxima;
  maxima.has_nan = has_nan(logits, vocab);
  maxima.raw = maxima.penalised = greatest(logits, vocab);
  if (params.repetition_penalty == 1) return maxima;
  const int32_t* const seen = params.seen + row * vocab;
  const float penalty = params.repetition_penalty;
  for (int64_t i = 0; i < vocab; ++i) {
    const float less = penalised(logits[i], penalty);
    logits[i] = seen[i] > 0 ? less : logits[i];
  }
  maxima.penalised = greatest(logits, vocab);
  return maxima;
}

inline void weigh(const float* logits, int64_t vocab, float maximum, float scale, float* shares) {
  for (int64_t i = 0; i < vocab; ++i) shares[i] = exp2_of(exponent_of(logits[i], maximum, scale));
}

inline float log_probability(const SampleParams& params, int64_t row, float maximum, int32_t token) {
  constexpr int64_t kPiece = 1024;
  float logits[kPiece];
  float shares[kPiece];
  uint64_t sum = 0;
  for (int64_t i = 0; i < params.vocab; i += kPiece) {
    const int64_t count = params.vocab - i < kPiece ? params.vocab - i : kPiece;
    widen_row(params, row * params.vocab + i, count, logits);
    weigh(logits, count, maximum, scale_of(1), shares);
    for (int64_t j = 0; j < count; ++j) sum += weight_of_share(shares[j]);
  }
  float logit;
  widen_row(params, row * params.vocab + token, 1, &logit);
  const double log_sum = std::log(static_cast<double>(sum) / static_cast<double>(int64_t{1} << kWeightBits));
  return static_cast<float>((logit == maximum ? 0.0 : static_cast<double>(logit) - maximum) - log_sum);
}

constexpr SamplePasses kSamplePasses = {read_row, weigh, log_probability};

}  // namespace
}  // namespace selective_scan
