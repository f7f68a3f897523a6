#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// Root mean square normalisation (Zhang and Sennrich 2019) of each row, after a residual is added in float32:
//   r = x + residual
//   out = r / sqrt(mean(r^2) + eps) * weight
// A row's result is the same bits whatever else is in the call. All arrays are contiguous, in the memory of the queue's
// device, and any optional one may be null.
struct RmsNormParams {
  int64_t rows = 0;  // >= 0
  int64_t dim = 0;   // >= 1
  float eps = 0;     // >= 0

  DType dtype = DType::kFloat32;         // of x: float32, float16 or bfloat16
  DType weight_dtype = DType::kFloat32;  // float32 or x's
  DType out_dtype = DType::kFloat32;     // float32, float16 or bfloat16

  const void* x = nullptr;          // [rows, dim]
  const void* weight = nullptr;     // [dim]
  const float* residual = nullptr;  // [rows, dim], optional
  void* out = nullptr;              // [rows, dim]
  float* sum = nullptr;             // r, [rows, dim], optional
};

}  // namespace selective_scan
