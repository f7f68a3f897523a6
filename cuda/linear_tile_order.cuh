// Which tile of the result a block has. Tiles that run at the same time should share rows of x and of the weights, so
// that the second-level cache has them: groups of 16 tiles of rows pass through all outputs, rows first.
#pragma once

#include <cstdint>

#include "../native/ops/linear.h"

namespace selective_scan {

struct TilePlace {
  int64_t first_row;
  int64_t first_output;
};

template <int kTile>
int64_t count_tiles(const LinearParams& params) {
  return ((params.rows + kTile - 1) / kTile) * ((params.out_features + kTile - 1) / kTile);
}

template <int kTile>
__device__ __forceinline__ TilePlace tile_place(const LinearParams& params, uint32_t block) {
  constexpr uint32_t kGroup = 16;
  const auto row_tiles = static_cast<uint32_t>((params.rows + kTile - 1) / kTile);
  const auto output_tiles = static_cast<uint32_t>((params.out_features + kTile - 1) / kTile);
  const uint32_t first = block / (kGroup * output_tiles) * kGroup;
  const uint32_t rows = min(kGroup, row_tiles - first);
  const uint32_t in_group = block - first * output_tiles;
  return {int64_t{first + in_group % rows} * kTile, int64_t{in_group / rows} * kTile};
}

}  // namespace selective_scan
