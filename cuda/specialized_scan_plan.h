// How a specialised scan is cut, and the shared memory that takes. Pure functions, so that a choice can be tested
// without a device.
#pragma once

#include <algorithm>
#include <optional>

#include "../native/ops/selective_scan.h"
#include "selective_scan_variant.h"

namespace selective_scan {

// A walker, a warp that keeps states, has four channels: eight lanes a channel, two states a lane.
constexpr int kWalkerStates = 2;
constexpr int kWalkerLanes = 8;
constexpr int kWalkerChannels = 32 / kWalkerLanes;

// What a lane of the others has of a tile's rows: 16 bytes, as one piece of four elements or two, half a tile apart.
constexpr int kSpecializedPiece = 4;
constexpr int specialized_pieces(int element_bytes) { return 4 / element_bytes; }

// Long tiles take fewer barriers, and shared memory that many channels do not have.
struct SpecializedShape {
  int tile;          // steps
  int most_walkers;  // of a block
};

constexpr SpecializedShape specialized_shape(ScanVariant variant, int element_bytes) {
  const SpecializedShape shape =
      variant == ScanVariant::kSpecialized64 ? SpecializedShape{64, 5} : SpecializedShape{32, 10};
  return {element_bytes == 4 ? shape.tile / 2 : shape.tile, shape.most_walkers};
}

// Preparers, and as many finishers.
constexpr int preparers_for(const SpecializedShape& shape, int element_bytes, int walkers) {
  const int elements = walkers * kWalkerChannels * shape.tile;
  return (elements * element_bytes / 16 + 31) / 32;
}

constexpr int specialized_threads(const SpecializedShape& shape, int element_bytes, int walkers) {
  return 32 * (walkers + 2 * preparers_for(shape, element_bytes, walkers));
}

// The shared memory of a block, in bytes where nothing else is said. Each part is a multiple of 16.
struct SpecializedMemory {
  // Tiles that are kept: a tile is fetched in turn t, prepared in t + 2, walked in t + 4 and finished in t + 5, and
  // walkers look two groups of steps ahead.
  static constexpr int kLongSlots = 6;   // u and z: from fetched to finished
  static constexpr int kShortSlots = 3;  // delta, B and C: from fetched to prepared
  static constexpr int kStepSlots = 3;   // dt, dt * u, and B and C in float32: from prepared to walked
  static constexpr int kSumSlots = 2;

  int walkers;
  int preparers;  // and finishers

  // Inputs as they come: rows along the contiguous axis, which is time ('bdl') or channels or states ('bld'). A row has
  // a piece to spare, for the overhang where it does not start on a boundary of pieces.
  int row_bytes;  // of u, delta or z
  int array_bytes;
  int matrix_row_bytes;  // of B or C
  int matrix_bytes;
  // What warps hand over, in float32. Pitches put what lanes read together in different banks.
  int step_floats;  // of dt or dt * u: [channel][step]
  int wide_floats;  // of B or C: 'bdl' [state][step], the even states first; 'bld' [pair of states][step][2]
  int sum_pitch;    // of a channel's y: each lane's part of it, 'bdl' [lane][step], 'bld' [step][lane]
  int sum_floats;

  // Where the parts begin, each of as many slots as it has; u is the first.
  int z_at;
  int delta_at;
  int matrices_at;
  int wide_at;
  int steps_at;
  int sums_at;
  int block_bytes;

  constexpr SpecializedMemory(Layout layout, const SpecializedShape& shape, int element_bytes, int walkers_)
      : walkers(walkers_),
        preparers(preparers_for(shape, element_bytes, walkers_)),
        row_bytes(0),
        array_bytes(0),
        matrix_row_bytes(0),
        matrix_bytes(0),
        step_floats(0),
        wide_floats(0),
        sum_pitch(0),
        sum_floats(0),
        z_at(0),
        delta_at(0),
        matrices_at(0),
        wide_at(0),
        steps_at(0),
        sums_at(0),
        block_bytes(0) {
    const bool bdl = layout == Layout::kBDL;
    const int channels = walkers * kWalkerChannels;
    const int states = kWalkerStates * kWalkerLanes;
    // In 'bdl' lanes read the first parts of rows or the second: an odd number of parts a row, one of them to spare. In
    // 'bld' they read a column: an odd number of pieces a row.
    const int part = shape.tile / specialized_pieces(element_bytes);
    const int spare = element_bytes == 4 ? kSpecializedPiece : part;
    row_bytes = (bdl ? shape.tile + spare : ((walkers + 1) | 1) * kSpecializedPiece) * element_bytes;
    array_bytes = rounded((bdl ? channels : shape.tile) * row_bytes);
    matrix_row_bytes = ((bdl ? shape.tile : states) + kSpecializedPiece) * element_bytes;
    matrix_bytes = rounded((bdl ? states : shape.tile) * matrix_row_bytes);
    step_floats = channels * step_pitch(shape.tile);
    wide_floats = states / (bdl ? 1 : 2) * wide_pitch(layout, shape.tile);
    sum_pitch = kWalkerLanes * (bdl ? step_pitch(shape.tile) : shape.tile) + (bdl ? 16 : 8);
    sum_floats = channels * sum_pitch;
    z_at = kLongSlots * array_bytes;
    delta_at = 2 * z_at;
    matrices_at = delta_at + kShortSlots * array_bytes;
    wide_at = matrices_at + kShortSlots * 2 * matrix_bytes;
    steps_at = wide_at + kStepSlots * 2 * wide_floats * 4;
    sums_at = steps_at + kStepSlots * 2 * step_floats * 4;
    block_bytes = sums_at + kSumSlots * sum_floats * 4;
  }

  static constexpr int step_pitch(int tile) { return tile + 4; }
  static constexpr int wide_pitch(Layout layout, int tile) { return (layout == Layout::kBDL ? 1 : 2) * tile + 4; }

 private:
  static constexpr int rounded(int bytes) { return (bytes + 15) / 16 * 16; }
};

// The specialised scan for this many busy rows of up to 16 real states with varying B and C: one block a
// multiprocessor. None where there are enough rows for the lane scan, too few steps to fill a tile, or a device has too
// little shared memory.
inline std::optional<ScanPlan> few_rows_plan(const SelectiveScanParams& params, int64_t rows, int64_t steps,
                                             const DeviceShape& device) {
  if (steps < 64 || !has_specialized_scan(device.capability)) return std::nullopt;
  const int element_bytes = params.dtype == DType::kFloat32 ? 4 : 2;
  const int64_t portion = int64_t{kWalkerChannels} * device.multiprocessors;
  const int64_t walkers = std::max<int64_t>((rows + portion - 1) / portion, 1);
  for (const ScanVariant variant : {ScanVariant::kSpecialized64, ScanVariant::kSpecialized32}) {
    const SpecializedShape shape = specialized_shape(variant, element_bytes);
    if (walkers > shape.most_walkers) continue;
    if (variant == ScanVariant::kSpecialized64 && !has_long_tiles(device.capability)) continue;
    const SpecializedMemory memory(params.layout, shape, element_bytes, static_cast<int>(walkers));
    if (memory.block_bytes > device.shared_bytes) continue;
    return ScanPlan{variant, kWalkerStates * kWalkerLanes, kWalkerChannels, static_cast<int>(walkers)};
  }
  return std::nullopt;
}

}  // namespace selective_scan
