// Dot products of a few rows of x with a few of weights, in registers. Lanes are inputs: a product has one accumulator,
// whose lane l adds up the inputs l, l + lanes, l + 2 lanes and so on in this order, and whose lanes are added up in
// one order. So a product's bits depend on nothing else that is computed beside it. Included once for each vector set,
// after the header that defines its Vec.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "linear_rows.h"

namespace selective_scan {
namespace {

constexpr int kAccumulators = Vec::kStates * 3 / 2;  // the registers left over hold a row's and a weight's vector

constexpr int kFewestFeatures = 4;
constexpr int kMostFeatures = 16;

// Features beside so many rows that the accumulators still are registers.
constexpr int tile_features(int rows) {
  int features = kFewestFeatures;
  while (features < kMostFeatures && 2 * features * rows <= kAccumulators) features *= 2;
  return features;
}

constexpr int kTileRows = kAccumulators / kFewestFeatures;

// Calls use with the number of rows, 1 to kTileRows, as a constant.
template <int kRows = kTileRows, class Use>
inline void with_rows(int64_t rows, Use use) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return with_rows<kRows - 1>(rows, use);
  }
  use(std::integral_constant<int, kRows>{});
}

template <int kRows, int kFeatures>
struct Tile {
  Vec sum[kRows][kFeatures];
};

template <int kRows, int kFeatures>
inline void clear(Tile<kRows, kFeatures>* tile) {
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kRows; ++i) {
    SELECTIVE_SCAN_UNROLL
    for (int j = 0; j < kFeatures; ++j) tile->sum[i][j] = Vec::zero();
  }
}

template <int kRows, int kFeatures>
inline void store_tile(const Tile<kRows, kFeatures>& tile, float* to) {
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kRows; ++i) {
    SELECTIVE_SCAN_UNROLL
    for (int j = 0; j < kFeatures; ++j) store(to + (i * kFeatures + j) * kLanes, tile.sum[i][j]);
  }
}

template <int kRows, int kFeatures>
inline void load_tile(const float* from, Tile<kRows, kFeatures>* tile) {
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kRows; ++i) {
    SELECTIVE_SCAN_UNROLL
    for (int j = 0; j < kFeatures; ++j) tile->sum[i][j] = load(from + (i * kFeatures + j) * kLanes);
  }
}

// x(i) and weight(j) are the vectors of a row and of a feature at the same inputs.
template <int kRows, int kFeatures, class X, class Weight>
inline void add_products(X x, Weight weight, Tile<kRows, kFeatures>* tile) {
  Vec row[kRows];
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kRows; ++i) row[i] = x(i);
  SELECTIVE_SCAN_UNROLL
  for (int j = 0; j < kFeatures; ++j) {
    const Vec w = weight(j);
    SELECTIVE_SCAN_UNROLL
    for (int i = 0; i < kRows; ++i) tile->sum[i][j] = fma(row[i], w, tile->sum[i][j]);
  }
}

// Lane i of the result is the sum of the lanes of vector i. Each round interleaves the upper half of the vectors with
// the lower and adds: that halves them and brings a bit of the vector's number into the lane's.
template <int kCount>
inline Vec sums_of_lanes(const Vec* vectors) {
  if constexpr (kCount == 1) {
    return vectors[0];
  } else {
    Vec halves[kCount / 2];
    SELECTIVE_SCAN_UNROLL
    for (int i = 0; i < kCount / 2; ++i) {
      halves[i] = zip_low(vectors[i], vectors[i + kCount / 2]) + zip_high(vectors[i], vectors[i + kCount / 2]);
    }
    return sums_of_lanes<kCount / 2>(halves);
  }
}

// Writes the products, the rows `stride` apart.
template <int kRows, int kFeatures>
inline void finish(const Tile<kRows, kFeatures>& tile, float* products, int64_t stride) {
  constexpr int kCount = kRows * kFeatures;
  constexpr int kVectors = (kCount + kLanes - 1) / kLanes;
  alignas(64) float flat[kVectors * kLanes];
  SELECTIVE_SCAN_UNROLL
  for (int first = 0; first < kVectors; ++first) {
    Vec vectors[kLanes];
    SELECTIVE_SCAN_UNROLL
    for (int l = 0; l < kLanes; ++l) {
      const int i = first * kLanes + l;
      vectors[l] = i < kCount ? tile.sum[i / kFeatures][i % kFeatures] : Vec::zero();
    }
    store(flat + first * kLanes, sums_of_lanes<kLanes>(vectors));
  }
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kRows; ++i) std::memcpy(products + i * stride, flat + i * kFeatures, sizeof(float) * kFeatures);
}

}  // namespace
}  // namespace selective_scan
