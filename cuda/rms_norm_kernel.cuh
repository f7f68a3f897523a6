// A block normalises a row, and then the next that is its own. Memory binds it: a row that fits is read once and kept
// in registers, a vector a thread.
#pragma once

#include "../native/ops/rms_norm.h"
#include "early_launch.cuh"
#include "row_block.cuh"

namespace selective_scan {

__device__ __forceinline__ float scale_of_squares(double squares, const RmsNormParams& p) {
  return 1.0f / sqrtf(static_cast<float>(squares / static_cast<double>(p.dim)) + p.eps);
}

template <typename Element>
__global__ void __launch_bounds__(kMostRowThreads) rms_norm_in_registers(const __grid_constant__ RmsNormParams p) {
  wait_for_earlier_kernels();
  __shared__ float shared[kMostRowWarps];
  const int64_t i = static_cast<int64_t>(threadIdx.x) * kRowVector;
  const bool has_vector = i < p.dim;
  float weight[kRowVector] = {};
  if (has_vector) {
    if (p.weight_dtype == DType::kFloat32) {
      load_row_vector<float>(p.weight, i, weight);
    } else {
      load_row_vector<Element>(p.weight, i, weight);
    }
  }
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const int64_t at = row * p.dim + i;
    float r[kRowVector] = {};
    float residual[kRowVector] = {};
    if (has_vector) load_row_vector<Element>(p.x, at, r);
    if (has_vector && p.residual != nullptr) load_row_vector<float>(p.residual, at, residual);
    float squares[kRowVector];
#pragma unroll
    for (int j = 0; j < kRowVector; ++j) {
      r[j] += residual[j];
      squares[j] = r[j] * r[j];
    }
    if (has_vector && p.sum != nullptr) store_chunk(p.sum + at, r);
#pragma unroll
    for (int half = kRowVector / 2; half >= 1; half /= 2) {
#pragma unroll
      for (int j = 0; j < half; ++j) squares[j] += squares[j + half];
    }
    const float scale = scale_of_squares(combine_block(squares[0], 0.0f, shared, Add()), p);
#pragma unroll
    for (int j = 0; j < kRowVector; ++j) r[j] = r[j] * scale * weight[j];
    if (has_vector) store_row_vector(p.out_dtype, p.out, at, r);
  }
}

// Of any length: read again to be scaled, mostly from the cache. What a thread sums up is added in double now and then,
// so that long rows are as accurate.
template <typename Element>
__global__ void __launch_bounds__(kMostRowThreads) rms_norm_in_passes(const __grid_constant__ RmsNormParams p) {
  wait_for_earlier_kernels();
  constexpr int64_t kStretch = 16;  // elements of a thread
  __shared__ double shared[kMostRowWarps];
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const auto* const x = static_cast<const Element*>(p.x) + row * p.dim;
    const auto value_at = [&](int64_t i) {
      const auto value = static_cast<float>(x[i]);
      return p.residual == nullptr ? value : value + p.residual[row * p.dim + i];
    };
    double squares = 0;
    for (int64_t first = threadIdx.x; first < p.dim; first += kStretch * blockDim.x) {
      float stretch = 0;
#pragma unroll 4
      for (int64_t k = 0; k < kStretch; ++k) {
        const int64_t i = first + k * blockDim.x;
        if (i >= p.dim) break;
        const float r = value_at(i);
        if (p.sum != nullptr) p.sum[row * p.dim + i] = r;
        stretch = fmaf(r, r, stretch);
      }
      squares += stretch;
    }
    const float scale = scale_of_squares(combine_block(squares, 0.0, shared, Add()), p);
    for (int64_t i = threadIdx.x; i < p.dim; i += blockDim.x) {
      const float weight = p.weight_dtype == DType::kFloat32
                               ? static_cast<const float*>(p.weight)[i]
                               : static_cast<float>(static_cast<const Element*>(p.weight)[i]);
      store_row_element(p.out_dtype, p.out, row * p.dim + i, value_at(i) * scale * weight);
    }
  }
}

}  // namespace selective_scan
