// The compile-time shape of a specialised scan, and where things lie in a block's shared memory.
#pragma once

#include "lane_scan_config.cuh"
#include "specialized_scan_plan.h"

namespace selective_scan {

template <typename Element_, Layout layout, ScanVariant variant>
struct SpecializedConfig {
  using Element = Element_;
  static constexpr SpecializedShape kShape = specialized_shape(variant);
  static constexpr bool kBdl = layout == Layout::kBDL;
  static constexpr int kSize = sizeof(Element);
  static constexpr int kStates = kShape.states;  // of a lane
  static constexpr int kLanes = kShape.lanes;    // of a channel
  static constexpr int kCapacity = kStates * kLanes;
  static constexpr int kWalkers = kShape.walkers;
  static constexpr int kThreads = 32 * (kShape.walkers + kShape.preparers);
  static constexpr int kWarpChannels = kShape.warp_channels();
  static constexpr int kBlockChannels = kShape.block_channels();
  static constexpr int kPiece = kSpecializedPiece;
  static constexpr int kPieceBytes = kPiece * kSize;

  static constexpr int kTile = SpecializedMemory::tile_of(kShape, kSize);  // steps
  static constexpr int kSpan = kTile / kShape.preparers;                   // steps of a preparer
  static constexpr int kGroup = kLanes;                                    // steps whose sums are reduced together
  static constexpr bool kStepMajor = SpecializedMemory::step_major(kShape);

  // Adjacent lanes of a walker take different channels: a vector costs half as much when lanes i and i ^ 1, or i and i
  // ^ 2, read the same one, and this way every vector is read by such a pair.
  static constexpr int kLaneUnit = 2;  // distance of the lanes of a channel

  static_assert(kTile % kGroup == 0 && kGroup % kPiece == 0 && kSpan % kPiece == 0 && kBlockChannels % kPiece == 0 &&
                    kCapacity % kPiece == 0 && kLaneUnit * kLanes <= 32,
                "groups, spans and rows are whole pieces");

  static constexpr int kRows = kBdl ? kBlockChannels : kSpan;
  static constexpr int kRow = kBdl ? kSpan : kBlockChannels;
  static constexpr int kMatrixRows = kBdl ? kCapacity : kSpan;
  static constexpr int kMatrixRow = kBdl ? kSpan : kCapacity;

  static constexpr SpecializedMemory kMemory{layout, kShape, kSize};
  static constexpr int kLongSlots = SpecializedMemory::kLongSlots;
  static constexpr int kShortSlots = SpecializedMemory::kShortSlots;
  static constexpr int kRowBytes = kMemory.row_bytes;
  static constexpr int kArrayBytes = kMemory.array_bytes;
  static constexpr int kMatrixRowBytes = kMemory.matrix_row_bytes;
  static constexpr int kMatrixBytes = kMemory.matrix_bytes;
  static constexpr int kZAt = kMemory.z_at();
  static constexpr int kDeltaAt = kMemory.delta_at();
  static constexpr int kMatricesAt = kMemory.matrices_at();
  static constexpr int kPreparerBytes = kMemory.preparer_bytes();
  static constexpr int kWideAt = kMemory.wide_at();
  static constexpr int kStepsAt = kMemory.steps_at();
  static constexpr int kSumsAt = kMemory.sums_at();
  static constexpr int kChannelsAt = kMemory.channels_at();
  static constexpr int kStepPitch = kMemory.step_pitch;
  static constexpr int kStepFloats = kMemory.step_bytes / 4;
  static constexpr int kWidePitch = kMemory.wide_pitch;
  static constexpr int kWideFloats = kMemory.wide_bytes / 4;
  static constexpr int kSharedBytes = kMemory.block_bytes();

  // B (0) or C (1) of a tile.
  static __device__ __forceinline__ float* wide(unsigned tile, int m) {
    return floats(kWideAt) + (tile % 2 * 2 + m) * kWideFloats;
  }
  static __device__ __forceinline__ float* dt(unsigned tile) { return floats(kStepsAt) + tile % 2 * 2 * kStepFloats; }
  static __device__ __forceinline__ float* du(unsigned tile) { return dt(tile) + kStepFloats; }
  static __device__ __forceinline__ float* sums(unsigned tile) {
    return floats(kSumsAt) + tile % SpecializedMemory::kSumSlots * kStepFloats;
  }
  // Of the block's channels.
  static __device__ __forceinline__ float* bias() { return floats(kChannelsAt); }
  static __device__ __forceinline__ float* D() { return bias() + kBlockChannels; }

 private:
  static __device__ __forceinline__ float* floats(int at) { return reinterpret_cast<float*>(block_memory() + at); }
};

// Which channels a block has, and when.
struct BlockPlace {
  int64_t piece;
  int64_t group;
  int64_t first_channel;
  int channels;  // of the block, that exist
  PieceSpan span;
};

}  // namespace selective_scan
