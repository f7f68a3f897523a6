// A linear layer of few rows by tensor cores. Memory binds it: every weight is read once, for two operations a row. So
// weights go from memory to the registers that the tensor cores read, 16 bytes a load with many loads of a lane on the
// way, and never wait for each other in shared memory.
//
// An instruction takes two elements here and two eight further of each lane's row; a lane has loaded eight adjacent
// ones. A sum does not mind the order of its terms, so the lane hands them over as they are, and x's the same way.
#pragma once

#include "early_launch.cuh"
#include "linear_args.cuh"
#include "linear_plan.h"
#include "matrix_ptx.cuh"

namespace selective_scan {

// kFull: with more than 8 rows. A lane then has two of them, and so fewer registers for loads on the way.
template <typename Element, bool kFull>
class TensorRowsWarp {
 public:
  // The warp's first output, and the first row of the block.
  __device__ __forceinline__ TensorRowsWarp(const LinearParams& params, int64_t first_output, int64_t first_row)
      : in_features_(static_cast<int>(params.in_features)) {
    const int lane = threadIdx.x % 32;
    const int64_t output = first_output + lane / 4;
    const int64_t row = first_row + lane / 4;
    lane_first_ = 8 * (lane % 4);
    has_output_ = output < params.out_features;
    has_low_ = row < params.rows;
    has_high_ = row + 8 < params.rows;
    weight_ = static_cast<const Element*>(params.weight) + output * params.in_features;
    x_ = static_cast<const Element*>(params.x) + row * params.in_features;
  }

  // Sums over one of equal slices of in_features.
  __device__ __forceinline__ void sum(int slice, int slice_bits, float (&sums)[4]) const {
    const int steps = (in_features_ + kStep - 1) / kStep;
    const int slice_length = ((steps + (1 << slice_bits) - 1) >> slice_bits) * kStep;
    const int end = min(in_features_, (slice + 1) * slice_length);
#pragma unroll 1
    for (int k = slice * slice_length + lane_first_; k - lane_first_ < end; k += kAhead * kStep) {
      uint4 weights[kAhead];
      uint4 low[kAhead];
      uint4 high[kAhead];
#pragma unroll
      for (int step = 0; step < kAhead; ++step) {
        const int at = k + step * kStep;
        weights[step] = load_once_or_zeros(weight_ + at, has_output_ && at < end);
        low[step] = load_or_zeros(x_ + at, has_low_ && at < end);
        high[step] = kFull ? load_or_zeros(x_ + int64_t{8} * in_features_ + at, has_high_ && at < end) : uint4{};
      }
#pragma unroll
      for (int step = 0; step < kAhead; ++step) {
        const uint32_t front[4] = {low[step].x, high[step].x, low[step].y, high[step].y};
        const uint32_t back[4] = {low[step].z, high[step].z, low[step].w, high[step].w};
        multiply_add<Element>(sums, front, weights[step].x, weights[step].y);
        multiply_add<Element>(sums, back, weights[step].z, weights[step].w);
      }
    }
  }

 private:
  static constexpr int kStep = 32;              // elements that the lanes' loads take of each row
  static constexpr int kAhead = kFull ? 4 : 7;  // steps whose loads are on the way at once

  const int in_features_;
  // The lane's part of the warp's operands: from this element on of row lane / 4 of both, and of row 8 further of x.
  int lane_first_;
  bool has_output_;
  bool has_low_;
  bool has_high_;
  const Element* weight_;
  const Element* x_;
};

// The block's outputs by x, groups of rows by y.
template <typename Element, bool kFull>
__global__ void __launch_bounds__(32 * kRowsWarps, 3) linear_tensor_rows(const __grid_constant__ LinearArgs args) {
#if __CUDA_ARCH__ >= 800
  constexpr int kSums = 4 * 32;
  __shared__ float parts[kRowsWarps][kSums];
  const LinearParams& p = args.params;
  const int slices = 1 << args.slice_bits;
  const int block_warps = kRowsWarps >> args.slice_bits;  // that have outputs of their own
  const int64_t block_outputs = block_warps * kTensorRows.outputs;
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const int64_t first_output = blockIdx.x * block_outputs;
  const int64_t first_row = blockIdx.y * kTensorRows.group;

  if (args.prefetches && threadIdx.x == 0) {
    const int64_t elements = min(p.out_features - first_output, block_outputs) * p.in_features;
    prefetch(static_cast<const Element*>(p.weight) + first_output * p.in_features,
             static_cast<uint32_t>(elements * sizeof(Element)));
  }
  wait_for_earlier_kernels();

  float sums[4] = {};
  const int64_t warp_output = first_output + (warp >> args.slice_bits) * kTensorRows.outputs;
  TensorRowsWarp<Element, kFull>(p, warp_output, first_row).sum(warp % slices, args.slice_bits, sums);
#pragma unroll
  for (int i = 0; i < 4; ++i) parts[warp][32 * i + lane] = sums[i];
  __syncthreads();

#pragma unroll 1
  for (int i = threadIdx.x; i < block_warps * kSums; i += 32 * kRowsWarps) {
    const int place = i % kSums;
    const int which = place / 32;  // of a lane's sums
    const int64_t row = first_row + place % 32 / 4 + which / 2 * 8;
    const int64_t output = first_output + i / kSums * kTensorRows.outputs + place % 4 * 2 + which % 2;
    if (row >= p.rows || output >= p.out_features) continue;
    store_feature(args, row, output, sum_of_slices(&parts[i / kSums << args.slice_bits][place], kSums, slices));
  }
#endif
}

}  // namespace selective_scan
