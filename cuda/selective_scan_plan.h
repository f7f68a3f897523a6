// Which kernel variant runs a shape: a pure function, so that a choice can be tested without a device.
#pragma once

#include <algorithm>
#include <optional>

#include "../native/ops/selective_scan.h"
#include "lane_scan_plan.h"
#include "selective_scan_variant.h"
#include "specialized_scan_plan.h"

namespace selective_scan {

// Steps of a tile. At 16-bit elements a tile's row is one 32-byte sector of device memory.
constexpr int kScanTile = 16;

// Warps of the largest block.
constexpr int kMostWarps = 4;

// A count that is larger changes no choice; products of two such counts do not overflow. scanKernel may ask about any.
constexpr int64_t kMostCounted = int64_t{1} << 31;

inline int64_t longest_sequence(const SelectiveScanParams& params) {
  if (params.cu_seqlens == nullptr) return std::min(params.seqlen, kMostCounted);
  int64_t longest = 1;
  for (int64_t s = 0; s < params.sequences; ++s) {
    const int64_t length = params.cu_seqlens[s + 1] - params.cu_seqlens[s];
    longest = length > longest ? length : longest;
  }
  return longest;
}

// The rows that are busy on average until the longest sequence is done.
inline int64_t busy_rows(const SelectiveScanParams& params) {
  const int64_t dim = std::min(params.dim, kMostCounted);
  const bool is_packed = params.cu_seqlens != nullptr;
  const int64_t steps = std::min(is_packed ? params.seqlen : params.sequences, kMostCounted);
  return std::min(steps * dim / (is_packed ? longest_sequence(params) : 1), kMostCounted);
}

// Whether B and C change with time and nothing is complex, as in every published Mamba model.
inline bool is_selective(const SelectiveScanParams& params) {
  return params.varying_b && params.varying_c && !params.is_complex;
}

inline ScanPlan plan_scan(const SelectiveScanParams& params, const DeviceShape& device = {}) {
  if (!params.batch_invariant && is_selective(params) && params.dstate <= 16) {
    const auto few = few_rows_plan(params, busy_rows(params), longest_sequence(params), device);
    if (few) return *few;
  }
  if (!params.is_complex && params.dstate <= 256) {
    // What does not depend on the number of rows is chosen as for few, where a wrong choice costs most.
    const int64_t rows = params.batch_invariant ? 1 : busy_rows(params);
    if (const auto lanes = plan_lane_scan(params, rows, device)) return *lanes;
  }
  // Narrower blocks where each warp needs more shared memory, for B and C of each channel: a block stays below 48 KB.
  const int warps = !params.varying_b || !params.varying_c ? 2 : kMostWarps;
  if (params.is_complex) return {ScanVariant::kComplex16, 16, 8, warps};
  return {ScanVariant::kReal32, 32, 8, warps};
}

inline int64_t scan_blocks(const SelectiveScanParams& params, const ScanPlan& plan) {
  const int64_t block_channels = plan.warp_channels * plan.warps;
  const int64_t pieces = (params.dim / params.groups + block_channels - 1) / block_channels;
  return params.sequences * params.groups * pieces;
}

// Steps of a chunk where few rows are scanned in chunks of time (selective_scan_chunks.cuh); 0 where whole sequences
// are better. Bounds from measured times (H200, bfloat16): a specialised scan of w walkers a block takes 7.5 + 3.5 w ns
// a step, 16 at least; chunks take a nanosecond for each 70 steps of a channel, and 60 us more.
inline int64_t scan_chunk_steps(const SelectiveScanParams& params) {
  constexpr int64_t kRowsThatFill = 131072;  // where chunks can be long
  constexpr int64_t kRowsThatDo = 20480;
  constexpr int64_t kLong = 256;
  constexpr int64_t kShort = 64;
  constexpr int64_t kUnit = 32;  // keeps 16-bit rows aligned
  constexpr int64_t kWalkerRows = 4 * 132;
  if (params.batch_invariant) return 0;
  const int64_t rows = busy_rows(params);
  const int64_t longest = longest_sequence(params);
  if (is_selective(params) && params.dstate <= 16) {
    const int64_t walkers = (rows + kWalkerRows - 1) / kWalkerRows;
    const int64_t step = std::max<int64_t>(1600, 750 + 350 * walkers);  // ns / 100
    if (walkers > 10 || longest * (70 * step - 100 * rows) < 100 * 70 * int64_t{60000}) return 0;
  } else if (longest < 4 * kShort || rows > 6144 / ((params.dstate - 1) / 16 + 1)) {
    return 0;
  }
  int64_t steps = rows * longest / kRowsThatFill;
  if (steps < kLong) steps = std::clamp(rows * longest / kRowsThatDo, kShort, kLong);
  return (steps + kUnit - 1) / kUnit * kUnit;
}

}  // namespace selective_scan
