// B and C of a block: read once for all its channels and widened to float32.
#pragma once

#include "lane_scan_config.cuh"

namespace selective_scan {

// Kept in shared memory, as LaneRows is.
template <typename Config>
class LaneMatrices {
  using Element = typename Config::Element;
  static constexpr int kVector = Config::kVector;
  static constexpr int kPieces = (Config::kMatrixRow + kVector - 1) / kVector;  // of a row
  static constexpr int kCount = Config::kMatrixRows * kPieces;                  // of a matrix
  static constexpr int kWide = Config::kCapacity * Config::kTile;               // elements of a matrix

 public:
  // `first` is the first step of the piece, in the batch entry.
  __device__ __forceinline__ void place(const SelectiveScanParams& p, int64_t batch, int64_t first, int64_t group) {
    pitch_ = Config::kBdl ? p.seqlen : p.groups * p.dstate;
    origin_ = Config::kBdl ? (batch * p.groups + group) * p.dstate * p.seqlen + first
                           : (batch * p.seqlen + first) * pitch_ + group * p.dstate;
    full_ = p.dstate == Config::kCapacity && Config::kMatrixRow % kVector == 0;
    whole_ = full_ && ((origin_ | pitch_) & (kVector - 1)) == 0;
  }

  // Starts the copies of the tile at `start`, which the threads of the block share.
  __device__ __forceinline__ void fetch(const SelectiveScanParams& p, int turn, int64_t start, int steps) const {
    const int64_t origin = origin_ + (Config::kBdl ? start : start * pitch_);
    if (whole_ && steps == Config::kTile) {
      for (int piece = first(p) * kCount + fresh_thread(); piece < end(p) * kCount; piece += blockDim.x) {
        const int row = piece % kCount / kPieces;
        const int column = piece % kPieces * kVector;
        copy_async<16>(raw(turn, piece / kCount) + row * Config::kMatrixRowBytes + column * Config::kSize,
                       matrix(p, piece / kCount) + origin + row * pitch_ + column);
      }
      return;
    }
    const int states = static_cast<int>(p.dstate);
    const Windows windows = {origin, pitch_, p.batch * p.groups * p.dstate * p.seqlen, Config::kBdl ? states : steps,
                             Config::kBdl ? steps : states};
#pragma unroll 1
    for (int m = first(p); m < end(p); ++m) {
      windows.fetch<Element, 16, Config::kMatrixRow, Config::kMatrixRowBytes>(raw(turn, m), matrix(p, m),
                                                                              fresh_thread(), blockDim.x);
    }
  }

  // Widens the same tile after its copies have arrived. States and steps that do not exist become 0.
  __device__ __forceinline__ void widen(const SelectiveScanParams& p, int turn, int64_t start, int steps) const {
    const bool aligned = whole_ && steps == Config::kTile;
    if (!aligned) __syncthreads();  // others have copied some of what this thread widens
    if (aligned || (Config::kBdl && full_ && steps == Config::kTile)) {
      for (int piece = first(p) * kCount + fresh_thread(); piece < end(p) * kCount; piece += blockDim.x) {
        const int row = piece % kCount / kPieces;
        const int column = piece % kPieces * kVector;
        const unsigned char* from = raw(turn, piece / kCount) + row * Config::kMatrixRowBytes + column * Config::kSize;
        Chunk<Element, kVector> chunk;
        if (aligned) {
          chunk = *reinterpret_cast<const Chunk<Element, kVector>*>(from);
        } else {
          chunk = read_beyond<Element, kVector>(from, static_cast<int>((origin_ + row * pitch_) & (kVector - 1)));
        }
        float values[kVector];
        widen_chunk(&chunk, values);
        float* const target = wide(turn, piece / kCount);
        if constexpr (Config::kBdl) {
#pragma unroll
          for (int j = 0; j < kVector; ++j) target[(column + j) * Config::kCapacity + row] = values[j];
        } else {
#pragma unroll
          for (int j = 0; j < kVector; j += 4) {
            *reinterpret_cast<float4*>(target + row * Config::kCapacity + column + j) = {values[j], values[j + 1],
                                                                                         values[j + 2], values[j + 3]};
          }
        }
      }
      return;
    }
    const int64_t origin = origin_ + (Config::kBdl ? start : start * pitch_);
    const int rows = Config::kBdl ? static_cast<int>(p.dstate) : steps;
    const int count = Config::kBdl ? steps : static_cast<int>(p.dstate);
#pragma unroll 1
    for (int i = first(p) * kWide + fresh_thread(); i < end(p) * kWide; i += blockDim.x) {
      const int m = i / kWide;
      const int row = i / Config::kMatrixRow % Config::kMatrixRows;
      const int column = i % Config::kMatrixRow;
      const auto* source = reinterpret_cast<const Element*>(raw(turn, m) + row * Config::kMatrixRowBytes);
      const bool exists = row < rows && column < count;
      const float value =
          exists ? static_cast<float>(source[((origin + row * pitch_) & (kVector - 1)) + column]) : 0.0f;
      wide(turn, m)[Config::kBdl ? column * Config::kCapacity + row : row * Config::kCapacity + column] = value;
    }
  }

  // [step][state]: B (0) or C (1).
  static __device__ __forceinline__ float* wide(int turn, int m) {
    return reinterpret_cast<float*>(block_memory() + Config::kWideAt + (2 * turn + m) * Config::kWideBytes);
  }

 private:
  // Of the matrices B (0) and C (1), the first that varies with time, and the one behind the last; others are no tiles.
  static __device__ __forceinline__ int first(const SelectiveScanParams& p) {
    return Config::kConstant && !p.varying_b ? 1 : 0;
  }
  static __device__ __forceinline__ int end(const SelectiveScanParams& p) {
    return Config::kConstant && !p.varying_c ? 1 : 2;
  }

  static __device__ __forceinline__ unsigned char* raw(int turn, int m) {
    return block_memory() + (2 * turn + m) * Config::kMatrixBytes;
  }

  static __device__ __forceinline__ const Element* matrix(const SelectiveScanParams& p, int m) {
    return static_cast<const Element*>(m == 0 ? p.B : p.C);
  }

  int64_t origin_;  // of the first state and the piece's first step
  int64_t pitch_;   // from one row to the next
  bool full_;       // as many states as the tile has room for
  bool whole_;      // the same, and rows start on 16-byte boundaries
};

}  // namespace selective_scan
