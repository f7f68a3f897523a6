// What one launch of the segment-parallel scan is told, and how its blocks divide time and shared memory.
#pragma once

#include <cstdint>

#include "../native/ops.h"
#include "selective_scan_plan.h"

namespace selective_scan {

struct SegmentsArgs {
  SelectiveScanParams params;
  const int32_t* cu_seqlens = nullptr;  // device memory; null if not packed
  int64_t first_block = 0;
  int quads = 0;   // a block
  int warps = 0;   // a block
  int ahead = 0;   // chunks of time whose passes over the states take turns, see PassOrder
  int stages = 0;  // tiles of B and C in shared memory
};

// A lane owns kSteps consecutive steps of a channel, so a warp a chunk of kChunk steps of the kQuad channels of a quad.
// constant: B or C does not vary with time.
template <typename Element_, bool constant>
struct SegmentsConfig {
  using Element = Element_;
  static constexpr bool kConstant = constant;
  static constexpr int kSize = sizeof(Element);
  static constexpr int kVector = 16 / kSize;  // elements of 16 bytes

  static constexpr int kQuad = kSegmentsQuad;
  static constexpr int kSegments = 32 / kQuad;
  static constexpr int kSteps = kSegmentsChunk / kSegments;
  static constexpr int kChunk = kSegmentsChunk;
  static constexpr int kStates = kSize == 4 ? 8 : 16;  // states of a pass, walked two at a time
  static constexpr int kPairs = kStates / 2;

  // float32 tiles of B and C, [state][segment][step]. The pitches put what a warp reads at once, and most of what it
  // writes, in different banks.
  static constexpr int kSegmentPitch = kSteps + 4;
  static constexpr int kStatePitch = kSegments * kSegmentPitch + 4;
  static constexpr int kMatrixBytes = kStates * kStatePitch * 4;

  // B and C as they come. The quads of a chunk share the work by units: 'bdl' a row [step], from the 16-byte boundary
  // before the first step; 'bld' four steps [step][state].
  static constexpr int kRawRowBytes = kChunk * kSize + 16;
  static constexpr int kRawStepBytes = kStates * kSize + 16;
  static constexpr int kRowUnits = 2 * kStates;
  static constexpr int kStepUnits = 2 * kChunk / 4;

  // u, delta and z of a warp as they come: 'bdl' [channel][step], from the 16-byte boundary before the first step;
  // 'bld' [segment][step][channel].
  static constexpr int kRowBytes = kChunk * kSize + 16;
  static constexpr int kStepBytes = kQuad * kSize;
  static constexpr int kSegmentBytes = kSteps * kStepBytes + kStepBytes;
  static constexpr int kRowTileBytes =
      kQuad * kRowBytes > kSegments * kSegmentBytes ? kQuad * kRowBytes : kSegments * kSegmentBytes;

  // Constant B and C of a warp's channels: [state][channel], each four times over, to be read as four steps are.
  static constexpr int kConstantBytes = constant ? kStates * kQuad * 16 : 0;
};

// The shared memory of a block, in bytes from its start. Each part is a multiple of 16.
template <typename Config>
struct SegmentsLayout {
  static constexpr int kFlags = 64;     // ready and released, an integer each for up to 16 stages
  static constexpr int kCarry = 16;     // a pair of states of a channel: two (value, tag)
  static constexpr int kRates = 8;      // a pair of states of a channel
  static constexpr int kTileBytes = 2 * Config::kMatrixBytes;

  int channels;  // of the block
  int pairs;     // of states, of all passes
  int warp_bytes;
  int carries, rates, scalars, warps, tiles, bytes;

  __host__ __device__ static SegmentsLayout of(const SelectiveScanParams& params, int quads, int warps, int stages) {
    SegmentsLayout layout = {};
    layout.divide(params.dstate, params.layout == Layout::kBDL, quads, warps, stages);
    return layout;
  }

  __host__ __device__ void divide(int64_t dstate, bool bdl, int quads, int warp_count, int stages) {
    channels = quads * Config::kQuad;
    pairs = static_cast<int>((dstate + Config::kStates - 1) / Config::kStates) * Config::kPairs;
    carries = 2 * kFlags;
    rates = carries + channels * pairs * kCarry;
    scalars = rates + channels * pairs * kRates;
    warps = scalars + channels * 8;
    const int rows = (Config::kRowUnits + quads - 1) / quads * Config::kRawRowBytes;
    const int steps = (Config::kStepUnits + quads - 1) / quads * 4 * Config::kRawStepBytes;
    warp_bytes = 3 * Config::kRowTileBytes + 2 * Config::kConstantBytes + (bdl ? rows : steps);
    tiles = warps + warp_count * warp_bytes;
    bytes = tiles + stages * kTileBytes;
  }
};

}  // namespace selective_scan
