// Many rows. The weights of a piece's features are brought into a panel once, floats in the order in which tiles read
// them, and a tile's rows of x likewise when their turn comes. Included once for each vector set, after the header that
// defines its Vec.
#pragma once

#include "linear_piece.h"
#include "linear_tile.h"

namespace selective_scan {
namespace {

// Vectors of inputs of a tile's rows that stay in a first-level cache while the panel passes by. Longer rows take
// several passes, with all sums parked in between.
constexpr int64_t kStepsInPass = 768 / kLanes;

constexpr int kPanelFeatures = kFewestFeatures;  // of a tile

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The parts of scratch memory, in floats; each begins at a whole vector.
struct ManyRowsScratch {
  ManyRowsScratch(const LinearParams& params, int64_t features)
      : steps(divide_up(params.in_features, kLanes)),
        tiles(divide_up(features, kPanelFeatures)),
        width(divide_up(features, kMostFeatures) * kMostFeatures) {}

  int64_t panel() const { return tiles * kPanelFeatures * steps * kLanes; }
  int64_t x() const { return kTileRows * steps * kLanes; }
  int64_t parked() const { return tiles * kTileRows * kPanelFeatures * kLanes; }
  int64_t products() const { return kTileRows * width; }
  int64_t bias() const { return width; }
  int64_t all() const { return panel() + x() + parked() + products() + bias(); }

  int64_t steps;  // vectors of inputs
  int64_t tiles;  // of features
  int64_t width;  // features, to a whole number of vectors
};

class ManyRows {
 public:
  explicit ManyRows(const LinearPiece& piece)
      : piece_(piece),
        params_(*piece.params),
        sizes_(params_, piece.features),
        panel_(piece.scratch),
        x_(panel_ + sizes_.panel()),
        parked_(x_ + sizes_.x()),
        products_(parked_ + sizes_.parked()),
        bias_(products_ + sizes_.products()) {}

  void run() {
    pack_weights();
    if (params_.bias) widen(params_.bias, params_.bias_dtype, piece_.feature, piece_.features, bias_);
    for (int64_t r = 0; r < piece_.rows; r += kTileRows) {
      const int64_t count = std::min<int64_t>(kTileRows, piece_.rows - r);
      const int64_t first = piece_.row + r;
      with_rows(count, [&](auto rows) { multiply<rows>(first); });
      for (int64_t i = 0; i < count; ++i) {
        const float* const bias = params_.bias ? bias_ : nullptr;
        store_row(params_, first + i, piece_.feature, piece_.features, bias, products_ + i * sizes_.width);
      }
    }
  }

 private:
  // [tile][step][feature of the tile][lane]. Features that there are not have zeros.
  void pack_weights() {
    const int64_t depth = params_.in_features;
    const int64_t vector_stride = kPanelFeatures * kLanes;
    for (int64_t j = 0; j < sizes_.tiles * kPanelFeatures; ++j) {
      float* const to = tile_of(j / kPanelFeatures) + j % kPanelFeatures * kLanes;
      if (j < piece_.features) {
        widen(params_.weight, params_.weight_dtype, (piece_.feature + j) * depth, depth, to, vector_stride);
      } else {
        for (int64_t k = 0; k < sizes_.steps; ++k) store(to + k * vector_stride, Vec::zero());
      }
    }
  }

  template <int kRows>
  void multiply(int64_t row) {
    const int64_t depth = params_.in_features;
    for (int i = 0; i < kRows; ++i) {
      widen(params_.x, params_.dtype, (row + i) * depth, depth, x_ + i * kLanes, kRows * kLanes);  // [step][row][lane]
    }
    const int64_t passes = std::max<int64_t>(1, divide_up(sizes_.steps, kStepsInPass));
    for (int64_t pass = 0; pass < passes; ++pass) {
      const int64_t begin = sizes_.steps * pass / passes;
      const int64_t end = sizes_.steps * (pass + 1) / passes;
      for (int64_t tile = 0; tile < sizes_.tiles; ++tile) {
        multiply_tile<kRows>(tile, begin, end);
      }
    }
  }

  template <int kRows>
  void multiply_tile(int64_t index, int64_t begin, int64_t end) {
    constexpr int kFeatures = kPanelFeatures;
    float* const parked = parked_ + index * kTileRows * kFeatures * kLanes;
    Tile<kRows, kFeatures> tile;
    if (begin == 0) {
      clear(&tile);
    } else {
      load_tile(parked, &tile);
    }
    const float* x = x_ + begin * kRows * kLanes;
    const float* weights = tile_of(index) + begin * kFeatures * kLanes;
    for (int64_t k = begin; k < end; ++k, x += kRows * kLanes, weights += kFeatures * kLanes) {
      add_products([&](int i) { return load(x + i * kLanes); }, [&](int j) { return load(weights + j * kLanes); },
                   &tile);
    }
    if (end < sizes_.steps) {
      store_tile(tile, parked);
    } else {
      finish(tile, products_ + index * kFeatures, sizes_.width);
    }
  }

  float* tile_of(int64_t index) const { return panel_ + index * kPanelFeatures * sizes_.steps * kLanes; }

  const LinearPiece& piece_;
  const LinearParams& params_;
  const ManyRowsScratch sizes_;
  float* const panel_;
  float* const x_;         // of a tile
  float* const parked_;    // [tile][row][feature of the tile][lane]
  float* const products_;  // [row of a tile][feature]
  float* const bias_;
};

inline void run_many_rows(const LinearPiece& piece) { ManyRows(piece).run(); }

}  // namespace
}  // namespace selective_scan
