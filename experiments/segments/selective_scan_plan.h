// Which kernel variant runs a shape: a pure function, so that a choice can be tested without a device.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

// Steps of a tile. At 16-bit elements a tile's row is one 32-byte sector of device memory.
constexpr int kScanTile = 16;

// Warps of the largest block.
constexpr int kMostWarps = 4;

// Real variants are named by the states of a channel that one pass holds; a larger dstate takes several passes a tile.
enum class ScanVariant { kReal4, kReal8, kReal16, kReal32, kReal64, kComplex16 };

struct ScanPlan {
  ScanVariant variant;
  int capacity;       // states of a channel that a pass holds
  int warp_channels;  // channels a warp owns
  int warps;          // a block
};

inline ScanPlan plan_scan(const SelectiveScanParams& params) {
  const bool constant = !params.varying_b || !params.varying_c;
  // Narrower blocks where each warp needs more shared memory, for twice the channels or for B and C of each channel: a
  // block stays below 48 KB.
  const int warps = constant ? 2 : 4;
  if (params.is_complex) return {ScanVariant::kComplex16, 16, 8, warps};
  if (params.dstate <= 4) return {ScanVariant::kReal4, 4, 32, 2};
  if (params.dstate <= 8) return {ScanVariant::kReal8, 8, 32, 2};
  if (params.dstate <= 16) return {ScanVariant::kReal16, 16, 16, warps};
  // The widest variant shares each read of B and C between two channels, so it wants them common to all channels.
  if (params.dstate <= 32 || constant) return {ScanVariant::kReal32, 32, 8, warps};
  return {ScanVariant::kReal64, 64, 8, warps};
}

// The segment-parallel kernel: chunks of time are shared by the lanes of a warp.
constexpr int kSegmentsQuad = 4;     // channels of a warp
constexpr int kSegmentsChunk = 128;  // steps of a warp
constexpr int kSegmentsWarps = 12;   // of the largest block

// What the choice of the segment-parallel kernel needs to know of a device.
struct DeviceLimits {
  int multiprocessors;
  int shared_bytes;  // that a block can be given
};

struct SegmentsPlan {
  bool use;
  int quads;  // a block
};

inline int64_t segments_blocks(const SelectiveScanParams& params, int quads) {
  const int64_t channels = quads * kSegmentsQuad;
  return params.sequences * params.groups * ((params.dim / params.groups + channels - 1) / channels);
}

inline SegmentsPlan plan_segments(const SelectiveScanParams& params, const DeviceLimits& device) {
  // Measured: with more rows the channel-parallel kernel is faster, and in 'bld' sooner, where a quad is a small part
  // of a row of memory. A chunk takes the same time however much of it exists.
  const int64_t most_rows = params.layout == Layout::kBDL ? 12288 : 8192;
  SegmentsPlan plan = {false, 1};
  plan.use = !params.is_complex && params.dstate <= 256 && params.sequences * params.dim <= most_rows &&
             4 * params.batch * params.seqlen >= 3 * params.sequences * kSegmentsChunk &&
             device.shared_bytes >= 200 * 1024;
  // A block takes a multiprocessor, so the time goes with the rounds of blocks and with the quads of a block; fewer
  // than three quads do not keep its warps busy.
  int64_t least = 0;
  for (int quads = 1; quads <= kSegmentsWarps; ++quads) {
    // States and rates of a block stay below 64 KB of shared memory.
    if (quads > 1 && quads * kSegmentsQuad * params.dstate > 5120) break;
    const int64_t blocks = segments_blocks(params, quads);
    const int64_t rounds = (blocks + device.multiprocessors - 1) / device.multiprocessors;
    const int64_t cost = rounds * (quads == 1 ? 22 : quads == 2 ? 25 : 10 * quads);
    if (least == 0 || cost <= least) {
      least = cost;
      plan.quads = quads;
    }
  }
  return plan;
}

inline int64_t scan_blocks(const SelectiveScanParams& params, const ScanPlan& plan) {
  const int64_t block_channels = plan.warp_channels * plan.warps;
  const int64_t pieces = (params.dim / params.groups + block_channels - 1) / block_channels;
  return params.sequences * params.groups * pieces;
}

}  // namespace selective_scan
