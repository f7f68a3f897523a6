#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

constexpr int64_t kLeastConvWidth = 2;
constexpr int64_t kMostConvWidth = 8;

// A causal convolution of each channel over time with weights of its own. For each batch entry, time t and channel d,
// with x before the sequence's start that of initial_state, or 0:
//   y = bias[d] + sum_k weight[d,k] * x[t - (width - 1) + k]      (in float32, k rising)
//   out = silu ? y * sigmoid(y) : y
// A sequence's result is the same bits whatever else is in the call, and wherever it is cut in two by its states.
// All arrays are contiguous, in the memory of the queue's device, and any optional one may be null.
struct CausalConv1dParams {
  int64_t batch = 0;   // >= 0
  int64_t dim = 0;     // >= 1
  int64_t seqlen = 0;  // >= 0
  int64_t width = 0;   // from kLeastConvWidth to kMostConvWidth

  DType dtype = DType::kFloat32;         // of x, out and the states: float32, float16 or bfloat16
  DType weight_dtype = DType::kFloat32;  // of weight and bias: float32 or dtype
  Layout layout = Layout::kBDL;
  bool silu = false;

  const void* x = nullptr;              // 'bdl' [batch, dim, seqlen], 'bld' [batch, seqlen, dim]
  const void* weight = nullptr;         // [dim, width]
  const void* bias = nullptr;           // [dim]
  const void* initial_state = nullptr;  // [sequences, dim, width - 1], the oldest first
  void* out = nullptr;                  // as x
  // The inputs that the next step needs, as initial_state: the last of the initial state and x together.
  void* final_state = nullptr;

  // Packed sequences: batch is 1 and sequence s covers times cu_seqlens[s] to cu_seqlens[s + 1]. HOST memory, read
  // before the call returns, [sequences + 1], from 0 to seqlen and never falling; a sequence may be empty (its final
  // state is then its initial one). Null: one sequence a batch entry, sequences == batch.
  const int32_t* cu_seqlens = nullptr;
  int64_t sequences = 0;
};

}  // namespace selective_scan
