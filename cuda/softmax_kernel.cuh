// A block takes a row, and then the next that is its own. Memory binds it: a row that fits is read once and kept in
// registers, a vector a thread; a longer one is read again, mostly from the cache, to be written.
#pragma once

#include <cmath>

#include "../native/ops/softmax.h"
#include "early_launch.cuh"
#include "row_block.cuh"

namespace selective_scan {

// What a row's elements become, once its maximum and the sum of its exponentials are known.
class SoftmaxOf {
 public:
  __device__ __forceinline__ SoftmaxOf(bool log, float maximum, float sum)
      : log_(log), maximum_(maximum), by_sum_(log ? logf(sum) : 1.0f / sum) {}

  __device__ __forceinline__ float operator()(float x) const {
    return log_ ? (x - maximum_) - by_sum_ : expf(x - maximum_) * by_sum_;
  }

 private:
  const bool log_;
  const float maximum_;
  const float by_sum_;
};

// NaN is passed over by a maximum and gets into the sum.
template <typename Element>
__global__ void __launch_bounds__(kMostRowThreads) softmax_in_registers(const __grid_constant__ SoftmaxParams p) {
  wait_for_earlier_kernels();
  __shared__ float shared[kMostRowWarps];
  const float lowest = -INFINITY;
  const int64_t i = static_cast<int64_t>(threadIdx.x) * kRowVector;
  const bool has_vector = i < p.length;
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const int64_t at = row * p.length + i;
    float x[kRowVector] = {};
    float greatest = lowest;
    if (has_vector) {
      load_row_vector<Element>(p.x, at, x);
#pragma unroll
      for (int j = 0; j < kRowVector; ++j) greatest = fmaxf(greatest, x[j]);
    }
    const float maximum = combine_block(greatest, lowest, shared, Greater());
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kRowVector; ++j) sum += expf(x[j] - maximum);
    const SoftmaxOf result(p.log, maximum, combine_block(has_vector ? sum : 0.0f, 0.0f, shared, Add()));
#pragma unroll
    for (int j = 0; j < kRowVector; ++j) x[j] = result(x[j]);
    if (has_vector) store_row_vector(p.out_dtype, p.out, at, x);
  }
}

// The maximum of some elements and the sum of their exponentials, as they come.
struct RunningSum {
  float maximum = -INFINITY;
  float sum = 0;

  // Exponentials are taken relative to 0 as long as there is nothing above minus infinity, whose own are then 0.
  static __device__ __forceinline__ float origin(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

  template <int kCount>
  __device__ __forceinline__ void add(const float (&x)[kCount]) {
    float greatest = maximum;
#pragma unroll
    for (int j = 0; j < kCount; ++j) greatest = fmaxf(greatest, x[j]);
    const float from = origin(greatest);
    sum *= expf(maximum - from);
#pragma unroll
    for (int j = 0; j < kCount; ++j) sum += expf(x[j] - from);
    maximum = greatest;
  }
};

template <typename Element>
__global__ void __launch_bounds__(kMostRowThreads) softmax_in_passes(const __grid_constant__ SoftmaxParams p) {
  wait_for_earlier_kernels();
  constexpr int kAtOnce = 4;
  __shared__ float shared[kMostRowWarps];
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const auto* const x = static_cast<const Element*>(p.x) + row * p.length;
    RunningSum running;
    for (int64_t first = threadIdx.x; first < p.length; first += kAtOnce * blockDim.x) {
      float values[kAtOnce];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const int64_t i = first + static_cast<int64_t>(j) * blockDim.x;
        values[j] = i < p.length ? static_cast<float>(x[i]) : -INFINITY;
      }
      running.add(values);
    }
    const float maximum = combine_block(running.maximum, -INFINITY, shared, Greater());
    const float share = running.sum * expf(running.maximum - RunningSum::origin(maximum));
    const SoftmaxOf result(p.log, maximum, combine_block(share, 0.0f, shared, Add()));
#pragma unroll 4
    for (int64_t i = threadIdx.x; i < p.length; i += blockDim.x) {
      store_row_element(p.out_dtype, p.out, row * p.length + i, result(static_cast<float>(x[i])));
    }
  }
}

}  // namespace selective_scan
