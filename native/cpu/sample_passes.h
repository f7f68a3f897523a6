// The passes over a whole row, in plain data, so that kernels built for different vector sets share nothing with each
// other but this.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace selective_scan {

struct SampleMaxima {
  float raw;        // of the logits as they came
  float penalised;  // of those that tokens are chosen by
  bool has_nan;
};

struct SamplePasses {
  // Writes a row's logits, with its penalties, and finds what is greatest.
  SampleMaxima (*read)(const SampleParams& params, int64_t row, float* logits);
  // From logits to shares of the greatest one's probability.
  void (*weigh)(const float* logits, int64_t vocab, float maximum, float scale, float* shares);
  // The log softmax, at a token, of a row's logits as they came.
  float (*log_probability)(const SampleParams& params, int64_t row, float maximum, int32_t token);
};

// One for each vector set; those not of the target's architecture are not built.
const SamplePasses& sample_avx512();
const SamplePasses& sample_avx2();
const SamplePasses& sample_neon();
const SamplePasses& sample_portable();

}  // namespace selective_scan
