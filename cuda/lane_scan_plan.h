// How a lane scan is cut: lanes a channel and warps a block. Pure functions, so that a choice can be tested without a
// device.
#pragma once

#include <algorithm>
#include <optional>

#include "../native/ops/selective_scan.h"
#include "selective_scan_variant.h"

namespace selective_scan {

// The shared memory of a lane scan's block, in bytes.
struct LaneMemory {
  int row_bytes;         // of u, delta or z
  int array_bytes;       // of a warp's rows
  int matrix_row_bytes;  // of B or C
  int matrix_bytes;
  int wide_bytes;  // of B or C in float32

  // A tile has 64 bytes of a row in 'bdl'. A tile's rows run along the contiguous axis: a channel's steps ('bdl') or a
  // step's channels ('bld'). In shared memory a row has 16 bytes more than it needs. They hold the overhang of rows
  // that do not start on a boundary of a copy, and put the rows of adjacent lanes in different banks.
  constexpr LaneMemory(Layout layout, int states, int lanes, int element_bytes)
      : row_bytes(padded(layout == Layout::kBDL ? 64 : 32 / lanes * element_bytes)),
        array_bytes((layout == Layout::kBDL ? 32 / lanes : 64 / element_bytes) * row_bytes),
        matrix_row_bytes(padded(layout == Layout::kBDL ? 64 : states * lanes * element_bytes)),
        matrix_bytes((layout == Layout::kBDL ? states * lanes : 64 / element_bytes) * matrix_row_bytes),
        wide_bytes(64 / element_bytes * states * lanes * 4) {}

  // Two of everything: one is filled while the other is read.
  constexpr int wide_at() const { return 2 * 2 * matrix_bytes; }
  constexpr int rows_at() const { return wide_at() + 2 * 2 * wide_bytes; }
  constexpr int block_bytes(int warps) const { return rows_at() + warps * 2 * 3 * array_bytes; }

 private:
  static constexpr int padded(int bytes) { return (bytes + 15) / 16 * 16 + 16; }
};

// A lane scan's states a lane and lanes a channel.
struct LaneShape {
  ScanVariant variant;
  int states;
  int lanes;
};

// Up to 16 states a channel, one lane to four can take a channel. More lanes deal out rows in finer portions, for more
// instructions: an eighth more with two lanes than with one, measured. A scheduler of a multiprocessor gets whole
// warps, and the one with the most is the last.
inline LaneShape lane_shape(int64_t dstate, int64_t rows, const DeviceShape& device) {
  if (dstate <= 8) return {ScanVariant::kLane8, 8, 1};
  if (dstate <= 16) {
    const int64_t schedulers = 4 * device.multiprocessors;
    const auto share = [&](int64_t portion) {
      return (rows + portion * schedulers - 1) / (portion * schedulers) * portion;
    };
    if (share(8) < 32) return {ScanVariant::kLanes4x4, 4, 4};
    if (9 * share(16) < 8 * share(32)) return {ScanVariant::kLanes2x8, 8, 2};
    return {ScanVariant::kLane16, 16, 1};
  }
  if (dstate <= 32) return {ScanVariant::kLanes2x16, 16, 2};
  if (dstate <= 64) return {ScanVariant::kLanes4x16, 16, 4};
  if (dstate <= 128) return {ScanVariant::kLanes8x16, 16, 8};
  return {ScanVariant::kLanes16x16, 16, 16};
}

// The same where B, C or both are constant: then lanes keep coefficients too, and fewer of them have the registers.
inline std::optional<LaneShape> constant_lane_shape(int64_t dstate) {
  if (dstate <= 16) return LaneShape{ScanVariant::kLanes2x8, 8, 2};
  if (dstate <= 64) return LaneShape{ScanVariant::kLanes4x16, 16, 4};
  return std::nullopt;
}

// Warps of the largest block of a lane scan: those for which a multiprocessor of compute capability 9.0 has registers
// (without spills) and shared memory.
constexpr int most_lane_warps(Layout layout, int states, int lanes, int element_bytes, bool constant) {
  if (states == 16) return 12;
  if (lanes == 1) return 14;
  return constant || (layout == Layout::kBLD && element_bytes == 4) ? 16 : 20;
}

// Blocks of few warps leave each other alone, and were faster than blocks that fill a multiprocessor and meet once a
// tile: 1865 us instead of 2286 at (8, 5120, 2048) with 64 states. But of the B and C of more states a multiprocessor
// has no room for several copies: 592 us instead of 1122 at (1, 5120, 2048) with 128.
inline int lane_warps(const SelectiveScanParams& params, const LaneShape& shape, int most) {
  constexpr int kFew = 4;
  if (shape.states * shape.lanes <= 64) return std::min(most, kFew);
  const int64_t channels = 32 / shape.lanes;
  const int64_t group_warps = (params.dim / params.groups + channels - 1) / channels;
  return static_cast<int>(std::clamp<int64_t>(group_warps, std::min(most, kFew), most));
}

// None where lanes have too few registers, or the device too little shared memory, for so many states.
inline std::optional<ScanPlan> plan_lane_scan(const SelectiveScanParams& params, int64_t rows,
                                              const DeviceShape& device) {
  const bool constant = !params.varying_b || !params.varying_c;
  const std::optional<LaneShape> found =
      constant ? constant_lane_shape(params.dstate) : lane_shape(params.dstate, rows, device);
  if (!found) return std::nullopt;
  const LaneShape& shape = *found;
  const int element_bytes = params.dtype == DType::kFloat32 ? 4 : 2;
  const LaneMemory memory(params.layout, shape.states, shape.lanes, element_bytes);
  int most = most_lane_warps(params.layout, shape.states, shape.lanes, element_bytes, constant);
  const int64_t shared_bytes = std::min(device.shared_bytes, most_shared_bytes(device.capability));
  while (most > 0 && memory.block_bytes(most) > shared_bytes) --most;
  if (most == 0) return std::nullopt;
  const int warps = lane_warps(params, shape, most);
  return ScanPlan{shape.variant, shape.states * shape.lanes, 32 / shape.lanes, warps};
}

}  // namespace selective_scan
