// The compile-time shape of a lane scan, and where things lie in a block's shared memory.
#pragma once

#include "selective_scan_args.cuh"
#include "tile_io.cuh"

namespace selective_scan {

// kLanes adjacent lanes of a warp share a channel and hold kStates of its states each.
template <typename Element_, Layout layout, int states, int lanes>
struct LaneConfig {
  using Element = Element_;
  static constexpr bool kBdl = layout == Layout::kBDL;
  static constexpr int kStates = states;
  static constexpr int kLanes = lanes;
  static constexpr int kCapacity = states * lanes;   // states of a channel
  static constexpr int kWarpChannels = 32 / lanes;   // channels a warp owns
  static constexpr int kBlockChannels = kLaneWarps * kWarpChannels;

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
  static constexpr int kVector = 16 / kSize;         // elements of 16 bytes
  static constexpr int kTile = 4 * kVector;          // steps that are fetched together: 64 bytes of a row
  static constexpr int kGroup = lanes > kVector ? lanes : kVector;  // steps that are walked together
  static constexpr int kOwn = kGroup / lanes;        // of a group's steps, those that a lane prepares and finishes

  // A tile's rows run along the contiguous axis: a channel's steps ('bdl') or a step's channels ('bld'). In shared
  // memory a row has 16 bytes more than it needs. They hold the overhang of rows that do not start on a 16-byte
  // boundary, and put the rows of adjacent lanes in different banks.
  static constexpr int kRows = kBdl ? kWarpChannels : kTile;
  static constexpr int kRow = kBdl ? kTile : kWarpChannels;
  static constexpr int kRowBytes = (kRow * kSize + 15) / 16 * 16 + 16;
  static constexpr int kArrayBytes = kRows * kRowBytes;
  static constexpr int kMatrixRows = kBdl ? kCapacity : kTile;
  static constexpr int kMatrixRow = kBdl ? kTile : kCapacity;
  static constexpr int kMatrixRowBytes = (kMatrixRow * kSize + 15) / 16 * 16 + 16;
  static constexpr int kMatrixBytes = kMatrixRows * kMatrixRowBytes;
  // The widened tile of B or C: [step][state].
  static constexpr int kWideBytes = kTile * kCapacity * 4;

  // Two of everything: one is filled while the other is read.
  static constexpr int kMatricesAt = kLaneWarps * 2 * 3 * kArrayBytes;
  static constexpr int kWideAt = kMatricesAt + 2 * 2 * kMatrixBytes;
  static constexpr int kSharedBytes = kWideAt + 2 * 2 * kWideBytes;

  // As many blocks of a multiprocessor as compile without spills. Decays in float32 take more registers, and so do the
  // shuffles of many lanes.
  static constexpr int kMinBlocks = (states == 16 ? 4 : 5) - (kSize == 4 ? 1 : 0) - (lanes >= (kSize == 4 ? 8 : 4) ? 1 : 0);
};

__device__ __forceinline__ unsigned char* block_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return memory;
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
        for (int i = 0; i < end - from; ++i) reinterpret_cast<Element*>(to)[i] = array[from + i];
      }
    }
  }
};

}  // namespace selective_scan
