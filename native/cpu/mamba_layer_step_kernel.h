// What a layer's step does to rows of floats beside products and the states' step. Included once for each vector set,
// after the header that defines its Vec.
#pragma once

#include "mamba_layer_step_rows.h"
#include "simd_lanes.h"
#include "vector_math.h"

namespace selective_scan {
namespace {

inline void widen_row(const void* from, DType dtype, int64_t count, float* to) {
  switch (dtype) {
    case DType::kFloat16:
      return convert(static_cast<const Float16*>(from), to, count);
    case DType::kBFloat16:
      return convert(static_cast<const BFloat16*>(from), to, count);
    default:
      return convert(static_cast<const float*>(from), to, count);
  }
}

inline void narrow_row(const float* from, DType dtype, int64_t count, void* to) {
  switch (dtype) {
    case DType::kFloat16:
      return convert(from, static_cast<Float16*>(to), count);
    case DType::kBFloat16:
      return convert(from, static_cast<BFloat16*>(to), count);
    default:
      return convert(from, static_cast<float*>(to), count);
  }
}

inline void silu_row(float* x, int64_t count) {
  for_each_vector(count, [&](int64_t i, int n) { store_lanes(x + i, silu(load_lanes(x + i, n)), n); });
}

constexpr LayerStepRows kLayerStepRows = {widen_row, narrow_row, silu_row};

}  // namespace
}  // namespace selective_scan
