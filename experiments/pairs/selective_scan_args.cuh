// What one launch is told, and the compile-time shape of a kernel variant.
#pragma once

#include <cstdint>

#include "../native/ops.h"
#include "selective_scan_plan.h"

namespace selective_scan {

struct ScanArgs {
  SelectiveScanParams params;
  const int32_t* cu_seqlens = nullptr;  // device memory; null if not packed
  // Where states wait between tiles when a channel has more of them than a pass holds: [sequences, dim, dstate].
  float* parked = nullptr;
  int64_t first_block = 0;
};

// kLanes adjacent lanes of a warp split the states of kChannels channels, kStates a lane and channel.
template <typename Element_, bool complex, int states, int lanes, int channels, int tile = kScanTile>
struct ScanConfig {
  using Element = Element_;
  static constexpr bool kComplex = complex;
  static constexpr int kReals = complex ? 2 : 1;  // float32 numbers a state
  static constexpr int kStates = states;
  static constexpr int kLanes = lanes;
  static constexpr int kChannels = channels;

  // Phases and float32 outputs show an error of dt that 16-bit outputs hide.
  static constexpr bool kAccurate = complex || sizeof(Element) == 4;

  static constexpr int kCapacity = states * lanes;             // states of a channel that one pass holds
  static constexpr int kWarpChannels = 32 / lanes * channels;  // channels a warp owns
  static constexpr int kTile = tile;                           // steps
  static constexpr int kGroup = lanes / channels;              // steps whose sums are reduced together

  // Blocks a multiprocessor should hold, which bounds the registers of a thread: as many as compile without spills.
  static constexpr int kMinBlocks = lanes == 4 && !complex ? 4 : 5;

  // Elements of u, delta and z in a chunk: 16 bytes, or less if every lane would not have one.
  static constexpr int kVector = 16 / static_cast<int>(sizeof(Element));
  static constexpr int kShare = kWarpChannels * kTile / 32;
  static constexpr int kChunk = kShare < kVector ? kShare : kVector;
  static constexpr int kChunksPerLane = kShare / kChunk;

  // Elements of varying B and C in a chunk: at most 16 bytes, at least 8, small enough that the largest block has a
  // thread for each chunk of both. And the row pitch of their float32 tiles: a multiple of a 16-byte vector, offset so
  // that rows start in different banks.
  static constexpr int kRow = kCapacity * kReals;
  static constexpr int kRowShare = 2 * kTile * kRow / (32 * kMostWarps);
  static constexpr int kRowChunk = kRowShare <= 4 ? 4 : kVector;
  static constexpr int kRowPitch = kRow + 4;
  static __host__ __device__ constexpr int coefficient_row(int step) { return step * kRowPitch; }

  // Which channel of its warp a lane serves, its first, and which part of that channel's states.
  static __device__ __forceinline__ int lane_channel(unsigned lane) { return lane / lanes * channels; }
  static __device__ __forceinline__ int lane_part(unsigned lane) { return lane % lanes; }

  // Row pitch of the tiles [step][channel] of (dt, dt * u) and of y. One channel a lane: odd, so that a warp that
  // writes columns meets no bank twice. Two: even, so that a lane reads both its channels as one vector.
  static constexpr int kStepPitch = kWarpChannels + channels;
  static constexpr int kSumPitch = kWarpChannels + 2;
};

// The shared memory of a block, in bytes from its start. Each part is a multiple of 16.
template <typename Config>
struct SharedLayout {
  static constexpr int64_t kSteps = Config::kTile * Config::kStepPitch * sizeof(float2);
  static constexpr int64_t kSums = Config::kTile * Config::kSumPitch * 4;
  static constexpr int64_t kSlots = 32 * Config::kChunksPerLane * sizeof(typename Config::Element) * Config::kChunk;
  static constexpr int64_t kWarpFloats = Config::kWarpChannels * 4;
  static constexpr int64_t kWarp = kSteps + kSums + 5 * kSlots + 2 * kWarpFloats;
  static constexpr int64_t kStaging = Config::kTile * Config::kRow * sizeof(typename Config::Element);

  // Rows of a float32 tile of B or C: steps if it varies with time, else the block's channels.
  static int64_t rows(bool varying, int warps) { return varying ? Config::kTile : warps * Config::kWarpChannels; }

  static int64_t bytes(const SelectiveScanParams& params, int warps) {
    const int64_t row_bytes = Config::kRowPitch * sizeof(float);
    const int64_t tile_rows = rows(params.varying_b, warps) + rows(params.varying_c, warps);
    return warps * kWarp + 2 * kStaging + 2 * tile_rows * row_bytes;
  }
};

}  // namespace selective_scan
