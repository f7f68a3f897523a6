// What the kernels of a linear layer are given, and how they read and write elements of types known at run time only:
// a branch that all threads take alike costs less than a kernel for each type.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "../native/ops/linear.h"
#include "tile_io.cuh"

namespace selective_scan {

struct LinearArgs {
  LinearParams params;
  int64_t ends[LinearParams::kMaxOutputs];  // the first feature past each output
  int slice_bits;                           // LinearPlan's
  bool prefetches;                          // LinearPlan's
  bool aligned;                             // LinearFacts's
};

__device__ __forceinline__ void store_element(void* memory, DType dtype, int64_t index, float value) {
  if (dtype == DType::kFloat32) {
    static_cast<float*>(memory)[index] = value;
  } else {
    static_cast<uint16_t*>(memory)[index] = dtype == DType::kFloat16 ? __half_as_ushort(__float2half_rn(value))
                                                                     : __bfloat16_as_ushort(__float2bfloat16_rn(value));
  }
}

// Adds the bias to a feature of a row and stores it where it belongs.
__device__ __forceinline__ void store_feature(const LinearArgs& args, int64_t row, int64_t feature, float value) {
  const LinearParams& p = args.params;
  if (p.bias != nullptr) value += load_element(p.bias, p.bias_dtype, feature);
  int output = 0;
#pragma unroll 1
  while (feature >= args.ends[output]) ++output;
  const int64_t size = p.sizes[output];
  store_element(p.out[output], p.out_dtype, row * size + feature - (args.ends[output] - size), value);
}

// What the warps that share a tile have of a sum, `pitch` apart, always in the same order.
__device__ __forceinline__ float sum_of_slices(const float* part, int pitch, int slices) {
  float sum = *part;
  for (int slice = 1; slice < slices; ++slice) sum += part[slice * pitch];
  return sum;
}

// Stores a square tile of sums that is in shared memory, but for what lies past the last row or feature.
template <int kTile, int kThreads>
__device__ __forceinline__ void store_tile(const LinearArgs& args, const float* tile, int pitch, int64_t first_row,
                                           int64_t first_feature) {
#pragma unroll 1
  for (int i = threadIdx.x; i < kTile * kTile; i += kThreads) {
    const int64_t row = first_row + i / kTile;
    const int64_t feature = first_feature + i % kTile;
    if (row >= args.params.rows) return;
    if (feature < args.params.out_features) {
      store_feature(args, row, feature, tile[i / kTile * pitch + i % kTile]);
    }
  }
}

}  // namespace selective_scan
