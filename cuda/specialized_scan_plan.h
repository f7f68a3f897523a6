// How a specialised scan is cut, and the shared memory that takes. Pure functions, so that a choice can be tested
// without a device.
#pragma once

#include <optional>

#include "../native/ops.h"
#include "selective_scan_variant.h"

namespace selective_scan {

// A block owns the channels of its walkers, the warps that walk time: `lanes` lanes a channel, `states` states each.
// Its preparers, other warps, move and compute what does not depend on states, each for its own steps of a tile.
struct SpecializedShape {
  int states;
  int lanes;
  int walkers;
  int preparers;
  int tile;  // steps, of 16-bit elements

  constexpr int warp_channels() const { return 32 / lanes; }
  constexpr int block_channels() const { return walkers * warp_channels(); }
};

constexpr SpecializedShape specialized_shape(ScanVariant variant) {
  if (variant == ScanVariant::kSpecialized16x1) return {1, 16, 6, 2, 64};
  return {2, 8, 10, 4, 64};
}

// What a thread copies, prepares and finishes at once, in elements.
constexpr int kSpecializedPiece = 4;

// The shared memory of a block, in bytes where nothing else is said. Each part is a multiple of 16.
struct SpecializedMemory {
  // Inputs as they come. Each preparer has arrays of its own: rows along the contiguous axis, which is its steps
  // ('bdl') or the channels or states ('bld'). Rows have a piece to spare, for the overhang of those that do not start
  // on a boundary of pieces.
  int row_bytes;  // of u, delta or z
  int array_bytes;
  int matrix_row_bytes;  // of B or C
  int matrix_bytes;
  // A tile is fetched two tiles ahead and finished two tiles after it was prepared: u and z last from the first to the
  // last, the others until they are prepared.
  static constexpr int kLongSlots = 4;
  static constexpr int kShortSlots = 2;
  // What warps hand over, in float32: dt, dt * u and y as [channel][step], and B and C along the axis that gives a lane
  // of a walker whole vectors. Pitches put adjacent rows in different banks.
  int step_pitch;  // floats
  int step_bytes;  // of dt, dt * u or y
  int wide_pitch;  // floats
  int wide_bytes;  // of B or C
  static constexpr int kSumSlots = 2;
  int channel_bytes;  // of D or the bias
  int preparers;

  constexpr SpecializedMemory(Layout layout, const SpecializedShape& shape, int element_bytes)
      : row_bytes(0),
        array_bytes(0),
        matrix_row_bytes(0),
        matrix_bytes(0),
        step_pitch(0),
        step_bytes(0),
        wide_pitch(0),
        wide_bytes(0),
        channel_bytes(shape.block_channels() * 4),
        preparers(shape.preparers) {
    const bool bdl = layout == Layout::kBDL;
    const int tile = tile_of(shape, element_bytes);
    const int span = tile / preparers;
    const int channels = shape.block_channels();
    const int states = shape.states * shape.lanes;
    row_bytes = ((bdl ? span : channels) + kSpecializedPiece) * element_bytes;
    array_bytes = rounded((bdl ? channels : span) * row_bytes);
    matrix_row_bytes = ((bdl ? span : states) + kSpecializedPiece) * element_bytes;
    matrix_bytes = rounded((bdl ? states : span) * matrix_row_bytes);
    step_pitch = tile + kSpecializedPiece;
    step_bytes = channels * step_pitch * 4;
    wide_pitch = (step_major(shape) ? states : tile) + kSpecializedPiece;
    wide_bytes = (step_major(shape) ? tile : states) * wide_pitch * 4;
  }

  static constexpr int tile_of(const SpecializedShape& shape, int element_bytes) {
    return element_bytes == 4 ? shape.tile / 2 : shape.tile;
  }
  // B and C as [step][state], else as [state][step].
  static constexpr bool step_major(const SpecializedShape& shape) { return shape.states >= 4; }

  // In a preparer's part, which starts with u.
  constexpr int z_at() const { return kLongSlots * array_bytes; }
  constexpr int delta_at() const { return z_at() + kLongSlots * array_bytes; }
  constexpr int matrices_at() const { return delta_at() + kShortSlots * array_bytes; }
  constexpr int preparer_bytes() const { return matrices_at() + kShortSlots * 2 * matrix_bytes; }

  // In the block's memory, which starts with the preparers' parts.
  constexpr int wide_at() const { return preparers * preparer_bytes(); }
  constexpr int steps_at() const { return wide_at() + 2 * 2 * wide_bytes; }
  constexpr int sums_at() const { return steps_at() + 2 * 2 * step_bytes; }
  constexpr int channels_at() const { return sums_at() + kSumSlots * step_bytes; }
  constexpr int block_bytes() const { return channels_at() + 2 * channel_bytes; }

 private:
  static constexpr int rounded(int bytes) { return (bytes + 15) / 16 * 16; }
};

// Whether a device has the shared memory of a specialised variant.
inline bool specialized_scan_fits(const SelectiveScanParams& params, ScanVariant variant, const DeviceShape& device) {
  const int element_bytes = params.dtype == DType::kFloat32 ? 4 : 2;
  const SpecializedMemory memory(params.layout, specialized_shape(variant), element_bytes);
  return memory.block_bytes() <= device.shared_bytes;
}

// The specialised scan for this many busy rows of up to 16 real states with varying B and C; none where there are
// enough rows for the lane scan, or too few steps to fill a tile.
inline std::optional<ScanPlan> few_rows_plan(int64_t rows, int64_t steps) {
  if (rows > 7680 || steps < 64) return std::nullopt;
  const ScanVariant variant = rows <= 2048 ? ScanVariant::kSpecialized16x1 : ScanVariant::kSpecialized8x2;
  const SpecializedShape shape = specialized_shape(variant);
  return ScanPlan{variant, shape.states * shape.lanes, shape.warp_channels(), shape.walkers};
}

}  // namespace selective_scan
