// What one launch is told, and the compile-time shape of a kernel variant.
#pragma once

#include <cstdint>

#include "../native/ops/selective_scan.h"
#include "selective_scan_plan.h"

namespace selective_scan {

// One pass over pieces of time: whole sequences, or chunks of them. params.sequences counts the pieces, and the states
// of params are theirs.
struct ScanArgs {
  SelectiveScanParams params;
  // Packed: where the pieces begin and end, [pieces + 1] in device memory. Else null, and each batch entry has `chunks`
  // pieces of `chunk_steps` steps, the last of them perhaps shorter.
  const int32_t* cu_seqlens = nullptr;
  int64_t chunks = 1;
  int64_t chunk_steps = 0;
  // Where states wait between tiles when a channel has more of them than a pass holds: [sequences, dim, dstate].
  float* parked = nullptr;
  int64_t first_block = 0;
};

// The steps of one piece.
struct PieceSpan {
  int64_t batch;
  int64_t start;  // in the batch entry
  int64_t length;
};

__device__ __forceinline__ PieceSpan span_of(const ScanArgs& args, int64_t piece) {
  if (args.cu_seqlens != nullptr) {
    const int64_t start = args.cu_seqlens[piece];
    return {0, start, args.cu_seqlens[piece + 1] - start};
  }
  if (args.chunks == 1) return {piece, 0, args.params.seqlen};  // a division of 64 bits takes a while
  const int64_t start = piece % args.chunks * args.chunk_steps;
  const int64_t left = args.params.seqlen - start;
  return {piece / args.chunks, start, left < args.chunk_steps ? left : args.chunk_steps};
}

// kLanes adjacent lanes of a warp split the states of a channel, kStates a lane.
template <typename Element_, bool complex, int states, int lanes>
struct ScanConfig {
  using Element = Element_;
  static constexpr bool kComplex = complex;
  static constexpr int kReals = complex ? 2 : 1;  // float32 numbers a state
  static constexpr int kStates = states;
  static constexpr int kLanes = lanes;

  // Phases and float32 outputs show an error of dt that 16-bit outputs hide.
  static constexpr bool kAccurate = complex || sizeof(Element) == 4;

  static constexpr int kCapacity = states * lanes;  // states of a channel that one pass holds
  static constexpr int kWarpChannels = 32 / lanes;  // channels a warp owns
  static constexpr int kTile = kScanTile;           // steps

  // Blocks a multiprocessor should hold, which bounds the registers of a thread: as many as compile without spills.
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ < 800 || __CUDA_ARCH__ >= 1000)
  static constexpr int kMinBlocks = 4;
#else
  static constexpr int kMinBlocks = complex ? 5 : 4;
#endif

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

  // Row pitch of the tiles [step][channel] of (dt, dt * u) and of y. The former's is odd, so that a warp that writes
  // columns meets no bank twice.
  static constexpr int kStepPitch = kWarpChannels + 1;
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
