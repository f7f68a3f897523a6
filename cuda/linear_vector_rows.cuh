// A linear layer of few rows by float32 arithmetic, for what the tensor cores do not take: float32 operands, operands
// of two types, rows that are not aligned. x is float32. A warp has four outputs, and its lanes share in_features.
#pragma once

#include "early_launch.cuh"
#include "linear_args.cuh"
#include "linear_plan.h"
#include "matrix_ptx.cuh"
#include "tile_io.cuh"

namespace selective_scan {

// Sums each of the first kValues values over the warp. Lane l then has the sum of value l kValues / 32: in each of
// the first rounds a lane gives half of its values away for the other half of its neighbour's.
template <int kValues, int kDistance = 16, int kCount>
__device__ __forceinline__ float sum_over_warp(float (&values)[kCount], int lane) {
  if constexpr (kDistance == 0) {
    return values[0];
  } else if constexpr (kValues == 1) {
    values[0] += __shfl_xor_sync(~0u, values[0], kDistance);
    return sum_over_warp<1, kDistance / 2>(values, lane);
  } else {
    constexpr int kHalf = kValues / 2;
    const bool upper = (lane & kDistance) != 0;
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const float kept = upper ? values[i + kHalf] : values[i];
      const float given = upper ? values[i] : values[i + kHalf];
      values[i] = kept + __shfl_xor_sync(~0u, given, kDistance);
    }
    return sum_over_warp<kHalf, kDistance / 2>(values, lane);
  }
}

// kWeightBytes: of a weight. float16 and bfloat16 are told apart at run time.
template <int kWeightBytes, int kRows>
class VectorRowsWarp {
 public:
  static constexpr int kOutputs = static_cast<int>(kVectorRows.outputs);
  static constexpr int kSums = kRows * kOutputs;

  // The warp's first output, and the first row of the block.
  __device__ __forceinline__ VectorRowsWarp(const LinearArgs& args, int64_t first_output, int64_t first_row)
      : in_features_(args.params.in_features),
        dtype_(args.params.weight_dtype),
        aligned_(args.aligned),
        last_row_(clamp_count(args.params.rows - first_row, kRows) - 1),
        x_(static_cast<const float*>(args.params.x) + first_row * in_features_) {
    // Past the last output that is read again; what comes of it is not stored.
#pragma unroll
    for (int j = 0; j < kOutputs; ++j) {
      const int64_t output = min(first_output + j, args.params.out_features - 1);
      weight_[j] = static_cast<const char*>(args.params.weight) + output * in_features_ * kWeightBytes;
    }
  }

  // Sums over the slice of in_features that `slice` of `slices` warps has: every so many vectors.
  __device__ __forceinline__ void sum(int slice, int slices, float (&sums)[kSums]) const {
    const int thread = slice * 32 + threadIdx.x % 32;
    if (!aligned_) {
      sum_elements(thread, slices * 32, sums);
      return;
    }
#pragma unroll 1
    for (int64_t k = thread * kVector; k < in_features_; k += slices * 32 * kVector) {
      uint4 weights[kOutputs];
#pragma unroll
      for (int j = 0; j < kOutputs; ++j) weights[j] = load_once_or_zeros(weight_[j] + k * kWeightBytes, true);
      // One after the other, or there would be no registers for all of x.
#pragma unroll 1
      for (int quad = 0; quad < kVector / 4; ++quad) multiply(weights, quad, k + 4 * quad, sums);
    }
  }

 private:
  static constexpr int kVector = 16 / kWeightBytes;

  // The same where there are no vectors.
  __device__ __forceinline__ void sum_elements(int64_t k, int stride, float (&sums)[kSums]) const {
#pragma unroll 1
    for (; k < in_features_; k += stride) {
      float weights[kOutputs];
#pragma unroll
      for (int j = 0; j < kOutputs; ++j) weights[j] = load_element(weight_[j], dtype_, k);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const float x = row(r)[k];
#pragma unroll
        for (int j = 0; j < kOutputs; ++j) {
          sums[r * kOutputs + j] = fmaf(weights[j], x, sums[r * kOutputs + j]);
        }
      }
    }
  }

  // Past the last row that is read again; what comes of it is not stored.
  __device__ __forceinline__ const float* row(int r) const { return x_ + min(r, last_row_) * in_features_; }

  // The two elements of a word.
  __device__ __forceinline__ float2 widen_word(uint32_t word) const {
    return dtype_ == DType::kFloat16 ? widen_pair<__half>(word) : widen_pair<__nv_bfloat16>(word);
  }

  // Four elements of a vector.
  __device__ __forceinline__ void widen(const uint4& vector, int quad, float (&four)[4]) const {
    if constexpr (kWeightBytes == 4) {
      four[0] = __uint_as_float(vector.x);
      four[1] = __uint_as_float(vector.y);
      four[2] = __uint_as_float(vector.z);
      four[3] = __uint_as_float(vector.w);
    } else {
      const float2 front = widen_word(quad == 0 ? vector.x : vector.z);
      const float2 back = widen_word(quad == 0 ? vector.y : vector.w);
      four[0] = front.x;
      four[1] = front.y;
      four[2] = back.x;
      four[3] = back.y;
    }
  }

  __device__ __forceinline__ void multiply(const uint4 (&vectors)[kOutputs], int quad, int64_t k,
                                           float (&sums)[kSums]) const {
    float weights[kOutputs][4];
#pragma unroll
    for (int j = 0; j < kOutputs; ++j) widen(vectors[j], quad, weights[j]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float4 x = *reinterpret_cast<const float4*>(row(r) + k);
#pragma unroll
      for (int j = 0; j < kOutputs; ++j) {
        float& sum = sums[r * kOutputs + j];
        sum = fmaf(weights[j][0], x.x, sum);
        sum = fmaf(weights[j][1], x.y, sum);
        sum = fmaf(weights[j][2], x.z, sum);
        sum = fmaf(weights[j][3], x.w, sum);
      }
    }
  }

  const int64_t in_features_;
  const DType dtype_;
  const bool aligned_;
  const int last_row_;  // of the block's
  const float* const x_;
  const char* weight_[kOutputs];
};

// The block's outputs by x, groups of rows by y.
template <int kWeightBytes, int kRows>
__global__ void __launch_bounds__(32 * kRowsWarps, kRows == 1 ? 3 : 2)
    linear_vector_rows(const __grid_constant__ LinearArgs args) {
  using Warp = VectorRowsWarp<kWeightBytes, kRows>;
  __shared__ float parts[kRowsWarps][Warp::kSums];
  const LinearParams& p = args.params;
  const int slices = 1 << args.slice_bits;
  const int block_warps = kRowsWarps >> args.slice_bits;  // that have outputs of their own
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const int64_t first_output = static_cast<int64_t>(blockIdx.x) * block_warps * Warp::kOutputs;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kRows;
  wait_for_earlier_kernels();

  float sums[Warp::kSums] = {};
  const int64_t warp_output = first_output + (warp >> args.slice_bits) * Warp::kOutputs;
  Warp(args, warp_output, first_row).sum(warp % slices, slices, sums);
  const float part = sum_over_warp<Warp::kSums>(sums, lane);
  constexpr int kLanesASum = 32 / Warp::kSums;
  if (lane % kLanesASum == 0) parts[warp][lane / kLanesASum] = part;
  __syncthreads();

  const int i = threadIdx.x;
  if (i >= block_warps * Warp::kSums) return;
  const int place = i % Warp::kSums;
  const int64_t row = first_row + place / Warp::kOutputs;
  const int64_t output = first_output + i / Warp::kSums * Warp::kOutputs + place % Warp::kOutputs;
  if (row >= p.rows || output >= p.out_features) return;
  store_feature(args, row, output,
                sum_of_slices(&parts[i / Warp::kSums << args.slice_bits][place], Warp::kSums, slices));
}

}  // namespace selective_scan
