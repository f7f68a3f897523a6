// What kernels share that give a row to a block: how its elements lie in the threads, and how all threads learn a sum.
#pragma once

#include <cstdint>

#include "../native/ops/dtype.h"
#include "tile_io.cuh"

namespace selective_scan {

constexpr int kRowVector = 8;  // adjacent elements of a thread
constexpr int kMostRowThreads = 1024;
constexpr int kMostRowWarps = kMostRowThreads / 32;

// A row of whole vectors, no more than one a thread, stays in registers. Others are read in passes.
constexpr bool fits_registers(int64_t length) {
  return length % kRowVector == 0 && length <= int64_t{kRowVector} * kMostRowThreads;
}

// How many threads a row is given: by its length alone, so that it gives the same bits in any company.
constexpr int threads_of_row(int64_t length) {
  if (!fits_registers(length)) return length <= 1024 ? 256 : kMostRowThreads;
  return static_cast<int>((length / kRowVector + 31) / 32 * 32);
}

// One block a row, as far as a grid goes; blocks then go on with the rows after.
inline unsigned blocks_of_rows(int64_t rows) {
  constexpr int64_t kMostBlocks = (int64_t{1} << 31) - 1;
  return static_cast<unsigned>(rows < kMostBlocks ? rows : kMostBlocks);
}

template <typename T, typename Combine>
__device__ __forceinline__ T combine_warp(T value, Combine combine) {
#pragma unroll
  for (int offset = 16; offset >= 1; offset /= 2) value = combine(value, __shfl_xor_sync(~0u, value, offset));
  return value;
}

// Of all threads' values, in one order. `shared` has a place for each warp; `none` changes nothing. A barrier comes
// first, so that the places may be those of the call before.
template <typename T, typename Combine>
__device__ __forceinline__ T combine_block(T value, T none, T* shared, Combine combine) {
  value = combine_warp(value, combine);
  const unsigned warp = threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  __syncthreads();
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  return combine_warp(lane < blockDim.x / 32 ? shared[lane] : none, combine);
}

struct Add {
  template <typename T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};

struct Greater {
  template <typename T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

// The vector of a row at `i`, of any float type, of which the caller knows that it is whole.
template <typename Element>
__device__ __forceinline__ void load_row_vector(const void* row, int64_t i, float (&values)[kRowVector]) {
  widen_chunk(reinterpret_cast<const Chunk<Element, kRowVector>*>(static_cast<const Element*>(row) + i), values);
}

__device__ __forceinline__ void store_row_vector(DType dtype, void* row, int64_t i, const float (&values)[kRowVector]) {
  if (dtype == DType::kFloat32) {
    store_chunk(static_cast<float*>(row) + i, values);
  } else if (dtype == DType::kFloat16) {
    store_chunk(static_cast<__half*>(row) + i, values);
  } else {
    store_chunk(static_cast<__nv_bfloat16*>(row) + i, values);
  }
}

__device__ __forceinline__ void store_row_element(DType dtype, void* row, int64_t i, float value) {
  if (dtype == DType::kFloat32) {
    static_cast<float*>(row)[i] = value;
  } else if (dtype == DType::kFloat16) {
    static_cast<__half*>(row)[i] = narrow<__half>(value);
  } else {
    static_cast<__nv_bfloat16*>(row)[i] = narrow<__nv_bfloat16>(value);
  }
}

}  // namespace selective_scan
