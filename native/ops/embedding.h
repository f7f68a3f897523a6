#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// Rows of a table by their numbers: out[i] = weight[ids[i]], rounded to out's type where that is another.
// All arrays are contiguous; weight and out are in the memory of the queue's device.
struct EmbeddingParams {
  int64_t rows = 0;   // >= 0
  int64_t vocab = 0;  // >= 0; > 0 where there are rows
  int64_t dim = 0;    // >= 1

  DType weight_dtype = DType::kFloat32;  // float32, float16 or bfloat16
  DType dtype = DType::kFloat32;         // of out: the same

  const void* weight = nullptr;  // [vocab, dim]
  void* out = nullptr;           // [rows, dim]

  // One of the two, [rows]. In HOST memory the ids are read before the call returns, each of them from 0 to vocab - 1.
  // In the device's memory nobody has looked: on a CPU an id that is not there is kShape and nothing is written, on a
  // GPU its row is NaN.
  const int32_t* host_ids = nullptr;
  const int32_t* device_ids = nullptr;
};

}  // namespace selective_scan
