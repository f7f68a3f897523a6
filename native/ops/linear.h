#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// A linear layer: out = x @ weight^T + bias, accumulated in float32. The row of out_features is split over `outputs`
// tensors, each contiguous: the first has the first sizes[0] of them, and so on. Bias may be null. All arrays are in
// the memory of the queue's device.
struct LinearParams {
  static constexpr int kMaxOutputs = 8;

  int64_t rows = 0;          // >= 0
  int64_t in_features = 0;   // >= 1
  int64_t out_features = 0;  // >= 1; the sum of the sizes

  // Each float32, float16 or bfloat16.
  DType dtype = DType::kFloat32;  // of x
  DType weight_dtype = DType::kFloat32;
  DType bias_dtype = DType::kFloat32;
  DType out_dtype = DType::kFloat32;

  const void* x = nullptr;       // [rows, in_features]
  const void* weight = nullptr;  // [out_features, in_features]
  const void* bias = nullptr;    // [out_features]

  int outputs = 1;                  // 1 to kMaxOutputs
  int64_t sizes[kMaxOutputs] = {};  // each >= 0
  void* out[kMaxOutputs] = {};      // out[i] is [rows, sizes[i]]
};

}  // namespace selective_scan
