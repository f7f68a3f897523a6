// A few rows, multiplied with weights where these are: each weight comes from memory once, for all rows. Included once
// for each vector set, after the header that defines its Vec.
#pragma once

#include "linear_piece.h"
#include "linear_tile.h"

namespace selective_scan {
namespace {

// Features of all rows before they are stored; and those that a row after the first still finds in a cache.
constexpr int kStripFeatures = 64;

template <class Weight>
class FewRows {
 public:
  explicit FewRows(const LinearPiece& piece)
      : piece_(piece),
        params_(*piece.params),
        depth_(params_.in_features),
        row_floats_((depth_ + kLanes - 1) / kLanes * kLanes),
        products_(piece.scratch),
        bias_(products_ + piece.rows * kStripFeatures),
        x_(bias_ + kStripFeatures) {}

  void run() {
    for (int64_t r = 0; r < piece_.rows; ++r) {
      widen(params_.x, params_.dtype, (piece_.row + r) * depth_, depth_, x_ + r * row_floats_);
    }
    for (int64_t strip = 0; strip < piece_.features; strip += kStripFeatures) {
      const int64_t feature = piece_.feature + strip;
      const int64_t count = std::min<int64_t>(kStripFeatures, piece_.features - strip);
      for (int64_t i = 0; i < count; i += kMostFeatures) {
        multiply(feature + i, std::min<int64_t>(kMostFeatures, count - i), products_ + i);
      }
      if (params_.bias) widen(params_.bias, params_.bias_dtype, feature, count, bias_);
      for (int64_t r = 0; r < piece_.rows; ++r) {
        float* const products = products_ + r * kStripFeatures;
        store_row(params_, piece_.row + r, feature, count, params_.bias ? bias_ : nullptr, products);
      }
    }
  }

 private:
  // All rows with kMostFeatures features, or those that there are.
  void multiply(int64_t feature, int64_t count, float* products) {
    const int64_t groups = (piece_.rows + kTileRows - 1) / kTileRows;
    const int64_t group = (piece_.rows + groups - 1) / groups;
    for (int64_t r = 0; r < piece_.rows; r += group) {
      with_rows(std::min(group, piece_.rows - r), [&](auto rows) {
        constexpr int kFeatures = tile_features(rows);
        for (int64_t i = 0; i < count; i += kFeatures) {
          multiply_tile<rows, kFeatures>(r, feature + i, count - i, products + r * kStripFeatures + i);
        }
      });
    }
  }

  // Where there are fewer features than the tile has, the last stands for those after it too.
  template <int kRows, int kFeatures>
  void multiply_tile(int64_t row, int64_t feature, int64_t count, float* products) {
    const float* const x = x_ + row * row_floats_;
    const Weight* weights[kFeatures];
    for (int j = 0; j < kFeatures; ++j) {
      const int64_t in_range = feature + std::min<int64_t>(j, count - 1);
      weights[j] = static_cast<const Weight*>(params_.weight) + in_range * depth_;
    }
    Tile<kRows, kFeatures> tile;
    clear(&tile);
    int64_t k = 0;
    const auto row_at = [&](int i) { return load(x + i * row_floats_ + k); };
    for (; k + kLanes <= depth_; k += kLanes) {
      add_products(row_at, [&](int j) { return load(weights[j] + k); }, &tile);
    }
    const int rest = static_cast<int>(depth_ - k);
    if (rest > 0) add_products(row_at, [&](int j) { return load(weights[j] + k, rest); }, &tile);
    finish(tile, products, kStripFeatures);
  }

  const LinearPiece& piece_;
  const LinearParams& params_;
  const int64_t depth_;
  const int64_t row_floats_;
  float* const products_;  // [row][feature of the strip]
  float* const bias_;      // [feature of the strip]
  float* const x_;         // [row][input], filled up with zeros to whole vectors
};

inline size_t few_rows_floats(const LinearParams& params, int64_t rows) {
  return static_cast<size_t>((rows + 1) * kStripFeatures + rows * (params.in_features + kLanes));
}

inline void run_few_rows(const LinearPiece& piece) {
  with_element(piece.params->weight_dtype, [&](auto element) { FewRows<decltype(element)>(piece).run(); });
}

}  // namespace
}  // namespace selective_scan
