// Which of a row's tokens are kept, and which of them is drawn.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace selective_scan {

// One row, its logits with their penalties and the shares of the most probable token's probability.
struct SampleRow {
  const float* logits = nullptr;
  const float* shares = nullptr;
  float maximum = 0;
  uint64_t* ranks = nullptr;  // scratch, vocab of them; needed where sample_needs_ranks()
};

bool sample_needs_ranks(const SampleParams& params);

// The token at the random place `bits` / 2^64 of the kept tokens' weights, in the order of their indices.
int32_t draw_token(const SampleParams& params, const SampleRow& row, uint64_t bits);

}  // namespace selective_scan
