// A linear layer of many rows by float32 arithmetic, for what the tensor cores do not take: float32 operands, operands
// of two types, rows that are not aligned, and GPUs before compute capability 8.0. Operands are widened on their way to
// shared memory. Two buffers: one is filled while the other is multiplied.
#pragma once

#include <cstdint>

#include "linear_args.cuh"
#include "linear_tile_order.cuh"

namespace selective_scan {

constexpr int kVectorTile = 64;  // rows and outputs of a block
constexpr int kVectorTilesThreads = 128;

class VectorTileBlock {
 public:
  static constexpr int kDepth = 16;  // of in_features in a buffer

  struct alignas(16) Memory {
    // The pad keeps vectors aligned and puts the rows of a column's neighbours in other banks.
    float x[2][kDepth][kVectorTile + 4];
    float weight[2][kDepth][kVectorTile + 4];
  };

  __device__ __forceinline__ VectorTileBlock(const LinearArgs& args, Memory& memory)
      : args_(args), memory_(memory), place_(tile_place<kVectorTile>(args.params, blockIdx.x)) {}

  // Into registers.
  __device__ __forceinline__ void load(int64_t first) {
    const LinearParams& p = args_.params;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int64_t at = first + column();
      load_four(x_[i], p.x, p.dtype, place_.first_row + row(i), p.rows, at);
      load_four(weight_[i], p.weight, p.weight_dtype, place_.first_output + row(i), p.out_features, at);
    }
  }

  __device__ __forceinline__ void stage(int buffer) const {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        memory_.x[buffer][column() + j][row(i)] = x_[i][j];
        memory_.weight[buffer][column() + j][row(i)] = weight_[i][j];
      }
    }
  }

  __device__ __forceinline__ void multiply(int buffer) {
#pragma unroll 4
    for (int k = 0; k < kDepth; ++k) {
      float x[kRows];
      float weight[kOutputs];
      read_four(x, &memory_.x[buffer][k][own_row()]);
      read_four(x + 4, &memory_.x[buffer][k][own_row() + 4]);
      read_four(weight, &memory_.weight[buffer][k][own_output()]);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
#pragma unroll
        for (int j = 0; j < kOutputs; ++j) sums_[r][j] = fmaf(x[r], weight[j], sums_[r][j]);
      }
    }
  }

  // Through shared memory, from where whole rows are stored. All are done with what was in it.
  __device__ __forceinline__ void store() const {
    auto* const tile = reinterpret_cast<float*>(&memory_);
    static_assert(sizeof(Memory) >= kVectorTile * kVectorTile * sizeof(float), "a tile of sums fits");
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      *reinterpret_cast<float4*>(tile + (own_row() + r) * kVectorTile + own_output()) = {sums_[r][0], sums_[r][1],
                                                                                         sums_[r][2], sums_[r][3]};
    }
    __syncthreads();
    store_tile<kVectorTile, kVectorTilesThreads>(args_, tile, kVectorTile, place_.first_row, place_.first_output);
  }

 private:
  // Of a thread.
  static constexpr int kRows = 8;
  static constexpr int kOutputs = 4;
  static constexpr int kLoads = kVectorTile * kDepth / 4 / kVectorTilesThreads;

  __device__ __forceinline__ static int own_row() { return threadIdx.x / 16 * kRows; }
  __device__ __forceinline__ static int own_output() { return threadIdx.x % 16 * kOutputs; }
  // What a thread loads of a tile.
  __device__ __forceinline__ static int row(int i) { return (i * kVectorTilesThreads + threadIdx.x) / (kDepth / 4); }
  __device__ __forceinline__ static int column() { return threadIdx.x % (kDepth / 4) * 4; }

  __device__ __forceinline__ static void read_four(float* four, const float* shared) {
    const float4 value = *reinterpret_cast<const float4*>(shared);
    four[0] = value.x;
    four[1] = value.y;
    four[2] = value.z;
    four[3] = value.w;
  }

  // Zeros past the end of the matrix.
  __device__ __forceinline__ void load_four(float (&four)[4], const void* matrix, DType dtype, int64_t row,
                                            int64_t rows, int64_t at) const {
    const int64_t length = args_.params.in_features;
    const int64_t index = row * length + at;
    const bool is_there = row < rows && at < length;
    if (args_.aligned && dtype == DType::kFloat32) {
      const float4 value = is_there ? *reinterpret_cast<const float4*>(static_cast<const float*>(matrix) + index)
                                    : float4{0.0f, 0.0f, 0.0f, 0.0f};
      four[0] = value.x;
      four[1] = value.y;
      four[2] = value.z;
      four[3] = value.w;
      return;
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      four[j] = row < rows && at + j < length ? load_element(matrix, dtype, index + j) : 0.0f;
    }
  }

  const LinearArgs& args_;
  Memory& memory_;
  const TilePlace place_;
  float x_[kLoads][4];
  float weight_[kLoads][4];
  float sums_[kRows][kOutputs] = {};
};

__global__ void __launch_bounds__(kVectorTilesThreads) linear_vector_tiles(const __grid_constant__ LinearArgs args) {
  __shared__ VectorTileBlock::Memory memory;
  constexpr int kDepth = VectorTileBlock::kDepth;
  VectorTileBlock block(args, memory);
  block.load(0);
  block.stage(0);
  __syncthreads();
  int buffer = 0;
  for (int64_t first = 0; first < args.params.in_features; first += kDepth, buffer ^= 1) {
    const bool has_next = first + kDepth < args.params.in_features;
    if (has_next) block.load(first + kDepth);
    block.multiply(buffer);
    if (has_next) block.stage(buffer ^ 1);
    __syncthreads();
  }
  block.store();
}

}  // namespace selective_scan
