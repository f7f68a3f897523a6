#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// A product with a matrix of weights (torch.nn.functional.linear): for each row r and output feature o
//   out[r,o] = bias[o] + sum_i x[r,i] * weight[o,i]
// The sum is float32 whatever the types, and rounded once, when it is stored. The output features may be shared out
// among several arrays, each a matrix of its own: the first sizes[0] features in out[0], the next sizes[1] in out[1].
// All arrays are contiguous, in the memory of the queue's device.
struct LinearParams {
  int64_t rows = 0;          // >= 0
  int64_t in_features = 0;   // >= 0; with none out is the bias, or 0
  int64_t out_features = 0;  // >= 0

  // float32, float16 or bfloat16 each, in any combination.
  DType dtype = DType::kFloat32;  // of x
  DType weight_dtype = DType::kFloat32;
  DType bias_dtype = DType::kFloat32;
  DType out_dtype = DType::kFloat32;

  const void* x = nullptr;       // [rows, in_features]
  const void* weight = nullptr;  // [out_features, in_features]
  const void* bias = nullptr;    // [out_features], or null

  static constexpr int kMaxOutputs = 8;
  int outputs = 1;                  // 1 to kMaxOutputs
  int64_t sizes[kMaxOutputs] = {};  // >= 0; their sum is out_features
  void* out[kMaxOutputs] = {};      // [rows, sizes[i]]
};

}  // namespace selective_scan
