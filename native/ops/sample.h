#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// Of a vocabulary: the sum of their weights in fixed point (sample_numbers.h) then fits 63 bits.
constexpr int64_t kMostVocab = int64_t{1} << 23;

// Chooses one token a row. In this order, each after the first on what the one before has left:
//   repetition_penalty   l > 0 ? l / penalty : l * penalty for tokens that were seen
//   temperature          probabilities are softmax(l / temperature); 0: the greatest l is chosen
//   top_k                the k most probable tokens are kept; 0: all
//   top_p                of these the fewest, most probable first, that together have the share p; 1: all
//   min_p                tokens are kept whose probability is at least min_p times the greatest; 0: all
// Of tokens that are equal the lower one comes first. The token is drawn from what is kept by one number of
// Philox4x32-10 (Salmon et al. 2011); sample_numbers.h has the arithmetic. A row with NaN, or without a logit above
// minus infinity, gives token -1. A row's result is the same whatever else is in the call. All arrays are contiguous,
// in the memory of the queue's device, and any optional one may be null.
struct SampleParams {
  int64_t batch = 0;  // >= 0
  int64_t vocab = 0;  // 1 to kMostVocab

  DType dtype = DType::kFloat32;  // of logits: float32, float16 or bfloat16
  double temperature = 1;         // >= 0
  int64_t top_k = 0;              // >= 0
  double top_p = 1;               // 0 to 1
  double min_p = 0;               // 0 to 1
  float repetition_penalty = 1;   // > 0

  const void* logits = nullptr;  // [batch, vocab]
  int32_t* seen = nullptr;       // [batch, vocab], optional; a row's chosen token has its count raised
  int32_t* random = nullptr;     // [batch, 3]: key, key, counter, which is raised; needed unless temperature is 0
  int32_t* tokens = nullptr;     // [batch]
  float* logprobs = nullptr;     // [batch], optional: log softmax of the row's logits as they came, at its token
};

}  // namespace selective_scan
