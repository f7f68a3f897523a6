#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// Each row's probabilities, or their logarithms, with m the row's maximum:
//   softmax: out = exp(x - m) / sum(exp(x - m))
//   log:     out = x - m - log(sum(exp(x - m)))
// A row with NaN, with an infinity above zero or with nothing above minus infinity is NaN throughout. A row's result is
// the same bits whatever else is in the call. The arrays are contiguous, in the memory of the queue's device.
struct SoftmaxParams {
  int64_t rows = 0;    // >= 0
  int64_t length = 0;  // of a row, >= 0
  bool log = false;

  DType dtype = DType::kFloat32;      // of x: float32, float16 or bfloat16
  DType out_dtype = DType::kFloat32;  // the same

  const void* x = nullptr;  // [rows, length]
  void* out = nullptr;      // [rows, length]
};

}  // namespace selective_scan
