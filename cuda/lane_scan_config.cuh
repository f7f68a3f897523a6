// The compile-time shape of a lane scan, and where things lie in a block's shared memory.
#pragma once

#include "lane_scan_plan.h"
#include "selective_scan_args.cuh"
#include "tile_io.cuh"

namespace selective_scan {

// kLanes adjacent lanes of a warp share a channel and hold kStates of its states each; where B, C or both are constant,
// those of these states too.
template <typename Element_, Layout layout, int states, int lanes, bool constant>
struct LaneConfig {
  using Element = Element_;
  static constexpr bool kConstant = constant;
  static constexpr bool kBdl = layout == Layout::kBDL;
  static constexpr int kStates = states;
  static constexpr int kLanes = lanes;
  static constexpr int kCapacity = states * lanes;  // states of a channel
  static constexpr int kWarpChannels = 32 / lanes;  // channels a warp owns

  // Adjacent lanes take different channels where lanes share one: a vector of B or C costs half as much when two
  // neighbours read the same.
  static constexpr int kLaneUnit = lanes == 1 ? 1 : 2;  // distance of the lanes of a channel

  static __device__ __forceinline__ int lane_of_channel() { return fresh_thread() / kLaneUnit % kLanes; }
  // Of the warp.
  static __device__ __forceinline__ int channel() {
    const int lane = fresh_thread() % 32;
    return lane / (kLanes * kLaneUnit) * kLaneUnit + lane % kLaneUnit;
  }

  static constexpr int kSize = sizeof(Element);
  static constexpr int kVector = 16 / kSize;            // elements of 16 bytes
  static constexpr int kTile = 64 / kSize;              // steps that are fetched together
  static constexpr int kGroup = lanes > 8 ? lanes : 8;  // steps that are walked together
  static constexpr int kOwn = kGroup / lanes;           // of a group's steps, those that a lane prepares and finishes

  static constexpr int kRows = kBdl ? kWarpChannels : kTile;
  static constexpr int kRow = kBdl ? kTile : kWarpChannels;
  static constexpr int kMatrixRows = kBdl ? kCapacity : kTile;
  static constexpr int kMatrixRow = kBdl ? kTile : kCapacity;

  static constexpr LaneMemory kMemory{layout, states, lanes, kSize};
  static constexpr int kRowBytes = kMemory.row_bytes;
  static constexpr int kArrayBytes = kMemory.array_bytes;
  static constexpr int kMatrixRowBytes = kMemory.matrix_row_bytes;
  static constexpr int kMatrixBytes = kMemory.matrix_bytes;
  static constexpr int kWideBytes = kMemory.wide_bytes;  // [step][state]
  static constexpr int kWideAt = kMemory.wide_at();
  static constexpr int kRowsAt = kMemory.rows_at();

#ifdef __CUDA_ARCH__
  static constexpr bool kExists = kMemory.block_bytes(1) <= most_shared_bytes(__CUDA_ARCH__ / 10);
#else
  static constexpr bool kExists = true;
#endif

  static constexpr int kMostWarps = most_lane_warps(layout, states, lanes, kSize, constant);
  // So many warps' registers have to fit; the blocks that are launched have 12 warps at most.
#if defined(__CUDA_ARCH__) && ((__CUDA_ARCH__ >= 800 && __CUDA_ARCH__ < 900) || __CUDA_ARCH__ >= 1200)
  static constexpr int kBoundWarps = kMostWarps < 16 ? kMostWarps : 16;  // 20 would spill
#else
  static constexpr int kBoundWarps = kMostWarps;
#endif
};

// Of a row in shared memory that begins on the boundary before its first element, and so `beyond` elements earlier: the
// chunk at `from`, which is a boundary of a word.
template <typename Element, int kCount>
__device__ __forceinline__ Chunk<Element, kCount> read_beyond(const unsigned char* from, int beyond) {
  constexpr int kPerWord = 4 / sizeof(Element);
  const auto* const words = reinterpret_cast<const uint32_t*>(from) + beyond / kPerWord;
  Chunk<Element, kCount> chunk;
#pragma unroll
  for (int j = 0; j < chunk.kWords; ++j) {
    chunk.words[j] = kPerWord == 1 ? words[j] : __funnelshift_r(words[j], words[j + 1], 16 * (beyond % kPerWord));
  }
  return chunk;
}

// Rows of adjacent elements that may start anywhere.
struct Windows {
  int64_t first;  // element of row 0
  int64_t pitch;  // from one row to the next
  int64_t end;    // of the array
  int rows;
  int count;  // elements of a row

  // Starts their copies to shared memory, in pieces on boundaries of a piece of device memory: a row then lies as many
  // elements into its row of shared memory as it starts beyond a boundary.
  template <typename Element, int kPieceBytes, int kRow, int kRowBytes>
  __device__ __forceinline__ void fetch(unsigned char* target, const Element* array, unsigned thread,
                                        unsigned threads) const {
    constexpr int kVector = kPieceBytes / sizeof(Element);
    constexpr int kPieces = (kRow + kVector - 1) / kVector + 1;
#pragma unroll 1
    for (unsigned piece = thread; piece < rows * kPieces; piece += threads) {
      const int64_t start = first + piece / kPieces * pitch;
      const int64_t from = (start & ~int64_t{kVector - 1}) + piece % kPieces * kVector;
      if (from >= start + count) continue;
      unsigned char* const to = target + piece / kPieces * kRowBytes + piece % kPieces * kPieceBytes;
      if (from + kVector <= end) {
        copy_async<kPieceBytes>(to, array + from);
      } else {
        // Once a call at most: not worth the code of an unrolled loop.
#pragma unroll 1
        for (int i = 0; i < end - from; ++i) reinterpret_cast<Element*>(to)[i] = array[from + i];
      }
    }
  }
};

}  // namespace selective_scan
