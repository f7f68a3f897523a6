// Which kernel variant runs a shape: a pure function, so that a choice can be tested without a device.
#pragma once

#include "../native/ops.h"
#include "lane_scan_plan.h"
#include "selective_scan_variant.h"

namespace selective_scan {

// Steps of a tile. At 16-bit elements a tile's row is one 32-byte sector of device memory.
constexpr int kScanTile = 16;

// Warps of the largest block.
constexpr int kMostWarps = 4;

// The rows that are busy on average until the longest sequence is done.
inline int64_t busy_rows(const SelectiveScanParams& params) {
  if (params.cu_seqlens == nullptr) return params.sequences * params.dim;
  int64_t longest = 1;
  for (int64_t s = 0; s < params.sequences; ++s) {
    const int64_t length = params.cu_seqlens[s + 1] - params.cu_seqlens[s];
    longest = length > longest ? length : longest;
  }
  return params.seqlen * params.dim / longest;
}

inline ScanPlan plan_scan(const SelectiveScanParams& params, const DeviceShape& device = {}) {
  const bool constant = !params.varying_b || !params.varying_c;
  if (!constant && !params.is_complex && params.dstate <= 256) return plan_lane_scan(params, busy_rows(params), device);
  // Narrower blocks where each warp needs more shared memory, for B and C of each channel: a block stays below 48 KB.
  const int warps = constant ? 2 : kMostWarps;
  if (params.is_complex) return {ScanVariant::kComplex16, 16, 8, warps};
  if (params.dstate <= 16) return {ScanVariant::kReal16, 16, 16, warps};
  return {ScanVariant::kReal32, 32, 8, warps};
}

inline int64_t scan_blocks(const SelectiveScanParams& params, const ScanPlan& plan) {
  const int64_t block_channels = plan.warp_channels * plan.warps;
  const int64_t pieces = (params.dim / params.groups + block_channels - 1) / block_channels;
  return params.sequences * params.groups * pieces;
}

// Steps of a chunk where few rows are scanned in chunks of time (selective_scan_chunks.cuh); 0 where whole sequences
// are better. The bounds are estimates from a few measured passes (H200, 2048 steps, bfloat16): at 5120 rows chunks
// take 228 us ('bdl') and 259 us ('bld') against 255 us and 248 us for whole sequences, at 1536 rows 88 us against 256
// us.
inline int64_t scan_chunk_steps(const SelectiveScanParams& params) {
  constexpr int64_t kFewRows = 6144;
  constexpr int64_t kRowsThatFill = 40960;
  constexpr int64_t kLeastSteps = 64;
  constexpr int64_t kUnit = 32;  // keeps 16-bit rows aligned
  const int64_t total = params.batch * params.seqlen;
  int64_t longest = params.seqlen;
  if (params.cu_seqlens != nullptr) {
    longest = 0;
    for (int64_t s = 0; s < params.sequences; ++s) {
      const int64_t length = params.cu_seqlens[s + 1] - params.cu_seqlens[s];
      longest = length > longest ? length : longest;
    }
  }
  // The rows that are busy on average until the longest sequence is done.
  if (longest < 4 * kLeastSteps || total * params.dim / longest > kFewRows) return 0;
  const int64_t steps = (total * params.dim / kRowsThatFill / kUnit + 1) * kUnit;
  return steps < kLeastSteps ? kLeastSteps : steps;
}

}  // namespace selective_scan
