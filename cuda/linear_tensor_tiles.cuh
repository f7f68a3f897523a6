// A linear layer of many rows by tensor cores: a block has a square tile of rows and outputs. Slices of in_features
// pass through a ring of stages in shared memory, from which four warps, two by two, take them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "linear_args.cuh"
#include "linear_tile_order.cuh"
#include "matrix_ptx.cuh"
#include "ptx.cuh"

namespace selective_scan {

struct TensorTile {
  static constexpr int kThreads = 128;
  static constexpr int kSide = 64;   // rows and outputs
  static constexpr int kDepth = 64;  // of in_features in a stage
  static constexpr int kStages = 3;
  static constexpr int kRowBytes = kDepth * 2;
  static constexpr int kOperandBytes = kSide * kRowBytes;
  static constexpr int kStageBytes = 2 * kOperandBytes;
  // Of a warp, in instructions of 16 rows and 8 outputs.
  static constexpr int kWarpSide = kSide / 2;
  static constexpr int kRowSteps = kWarpSide / 16;
  static constexpr int kOutputSteps = kWarpSide / 8;
  // The pad puts the sums of eight adjacent rows in different banks.
  static constexpr int kSumsPitch = kSide + 8;
  static constexpr int kBytes = std::max(kStages * kStageBytes, kSide * kSumsPitch * 4);
};

// Where the vector of 16 bytes is in a tile: vectors change places from row to row, so that the same one of eight
// adjacent rows lies in eight different banks.
__device__ __forceinline__ unsigned place_in_tile(unsigned row, unsigned vector) {
  return row * TensorTile::kRowBytes + (vector ^ row % 8) * 16;
}

template <typename Element>
class TensorTileBlock {
  using Tile = TensorTile;

 public:
  __device__ __forceinline__ TensorTileBlock(const LinearParams& params, unsigned char* memory, int64_t first_row,
                                             int64_t first_output)
      : p_(params), memory_(memory), first_row_(first_row), first_output_(first_output) {}

  // Starts the copies of a stage, which holds in_features from `first` on; zeros past the end.
  __device__ __forceinline__ void fetch(int first) const {
    unsigned char* const stage = stage_of(first);
    fetch_operand(stage, p_.x, first_row_, p_.rows, first);
    fetch_operand(stage + Tile::kOperandBytes, p_.weight, first_output_, p_.out_features, first);
  }

  __device__ __forceinline__ void multiply(int first) {
    unsigned char* const stage = stage_of(first);
    const unsigned lane = threadIdx.x % 32;
    const unsigned row = warp_row() + lane % 16;
    const unsigned output = warp_output() + lane / 16 * 8 + lane % 8;
#pragma unroll
    for (unsigned step = 0; step < Tile::kDepth / 16; ++step) {
      uint32_t a[Tile::kRowSteps][4];
      uint32_t b[Tile::kOutputSteps / 2][4];
#pragma unroll
      for (int i = 0; i < Tile::kRowSteps; ++i) {
        load_matrices(a[i], stage + place_in_tile(row + 16 * i, 2 * step + lane / 16));
      }
#pragma unroll
      for (int j = 0; j < Tile::kOutputSteps / 2; ++j) {
        load_matrices(b[j], stage + Tile::kOperandBytes + place_in_tile(output + 16 * j, 2 * step + lane / 8 % 2));
      }
#pragma unroll
      for (int i = 0; i < Tile::kRowSteps; ++i) {
#pragma unroll
        for (int j = 0; j < Tile::kOutputSteps; ++j) {
          multiply_add<Element>(sums_[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
      }
    }
  }

  // Through shared memory, from where whole rows are stored. All copies have ended.
  __device__ __forceinline__ void store(const LinearArgs& args) const {
    auto* const tile = reinterpret_cast<float*>(memory_);
    const unsigned lane = threadIdx.x % 32;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < Tile::kRowSteps; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kOutputSteps; ++j) {
        const unsigned row = warp_row() + 16 * i + lane / 4;
        float* const place = tile + row * Tile::kSumsPitch + warp_output() + 8 * j + lane % 4 * 2;
        *reinterpret_cast<float2*>(place) = {sums_[i][j][0], sums_[i][j][1]};
        *reinterpret_cast<float2*>(place + 8 * Tile::kSumsPitch) = {sums_[i][j][2], sums_[i][j][3]};
      }
    }
    __syncthreads();
    store_tile<Tile::kSide, Tile::kThreads>(args, tile, Tile::kSumsPitch, first_row_, first_output_);
  }

 private:
  __device__ __forceinline__ static unsigned warp_row() { return threadIdx.x / 32 / 2 * Tile::kWarpSide; }
  __device__ __forceinline__ static unsigned warp_output() { return threadIdx.x / 32 % 2 * Tile::kWarpSide; }

  __device__ __forceinline__ unsigned char* stage_of(int first) const {
    return memory_ + static_cast<unsigned>(first / Tile::kDepth) % Tile::kStages * Tile::kStageBytes;
  }

  __device__ __forceinline__ void fetch_operand(unsigned char* tile, const void* matrix, int64_t first_row,
                                                int64_t rows, int first) const {
    constexpr unsigned kVectors = Tile::kRowBytes / 16;  // of a row
#pragma unroll
    for (unsigned i = 0; i < Tile::kSide * kVectors / Tile::kThreads; ++i) {
      const unsigned place = i * Tile::kThreads + threadIdx.x;
      const int64_t row = first_row + place / kVectors;
      const int at = first + place % kVectors * 8;
      const bool is_there = row < rows && at < p_.in_features;
      const Element* const source = static_cast<const Element*>(matrix) + (is_there ? row * p_.in_features + at : 0);
      copy_async_or_zeros(tile + place_in_tile(place / kVectors, place % kVectors), source, is_there);
    }
  }

  const LinearParams& p_;
  unsigned char* const memory_;
  const int64_t first_row_;
  const int64_t first_output_;
  float sums_[Tile::kRowSteps][Tile::kOutputSteps][4] = {};
};

template <typename Element>
__global__ void __launch_bounds__(TensorTile::kThreads, 4)
    linear_tensor_tiles(const __grid_constant__ LinearArgs args) {
#if __CUDA_ARCH__ >= 800
  using Tile = TensorTile;
  const LinearParams& p = args.params;
  const TilePlace place = tile_place<Tile::kSide>(p, blockIdx.x);
  TensorTileBlock<Element> block(p, block_memory(), place.first_row, place.first_output);
#pragma unroll
  for (int stage = 0; stage < Tile::kStages - 1; ++stage) {
    block.fetch(stage * Tile::kDepth);
    commit_copies();
  }
#pragma unroll 1
  for (int first = 0; first < p.in_features; first += Tile::kDepth) {
    wait_for_copies<Tile::kStages - 2>();
    // All have this stage, and are done with the one before it, which the next copies overwrite.
    __syncthreads();
    block.fetch(first + (Tile::kStages - 1) * Tile::kDepth);
    commit_copies();
    block.multiply(first);
  }
  wait_for_copies();
  block.store(args);
#endif
}

}  // namespace selective_scan
