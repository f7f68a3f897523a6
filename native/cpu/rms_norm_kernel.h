// Rows, each read twice: from memory for the sum of its squares and then, mostly from the cache, to be scaled. Included
// once for each vector set, after the header that defines its Vec.
#pragma once

#include <cmath>

#include "lane_parts.h"
#include "rms_norm_rows.h"

namespace selective_scan {
namespace {

constexpr int kLanes = Vec::kLanes;
constexpr int kSums = 4;               // of vectors, that do not wait for each other
constexpr int64_t kStretch = 1 << 12;  // elements whose squares are summed in float32

template <class Element, class Weight, class Out>
class RmsNormRow {
 public:
  RmsNormRow(const RmsNormParams& params, int64_t row)
      : dim_(params.dim),
        eps_(params.eps),
        x_(static_cast<const Element*>(params.x) + row * dim_),
        weight_(static_cast<const Weight*>(params.weight)),
        residual_(params.residual ? params.residual + row * dim_ : nullptr),
        out_(static_cast<Out*>(params.out) + row * dim_),
        sum_(params.sum ? params.sum + row * dim_ : nullptr) {}

  void normalise() const {
    double squares = 0;
    for (int64_t i = 0; i < dim_; i += kStretch) squares += add_stretch(i, dim_ - i < kStretch ? dim_ : i + kStretch);
    const Vec scale = Vec::set(static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(dim_) + eps_)));
    for (int64_t i = 0; i < dim_; i += kLanes) {
      const int count = lanes_at(i, dim_);
      store_lanes(out_ + i, value(i, count) * scale * load_lanes(weight_ + i, count), count);
    }
  }

 private:
  Vec value(int64_t i, int count) const {
    const Vec x = load_lanes(x_ + i, count);
    return residual_ ? x + load_lanes(residual_ + i, count) : x;
  }

  // The sum of the squares of some elements, which are also stored where they are asked for.
  float add_stretch(int64_t i, int64_t end) const {
    Vec sums[kSums];
    for (Vec& sum : sums) sum = Vec::zero();
    for (; i + kSums * kLanes <= end; i += kSums * kLanes) {
      SELECTIVE_SCAN_UNROLL
      for (int j = 0; j < kSums; ++j) add(i + j * kLanes, kLanes, &sums[j]);
    }
    for (; i < end; i += kLanes) add(i, lanes_at(i, end), &sums[0]);
    return sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }

  void add(int64_t i, int count, Vec* sum) const {
    const Vec r = value(i, count);
    if (sum_) store_lanes(sum_ + i, r, count);
    *sum = fma(r, r, *sum);
  }

  const int64_t dim_;
  const double eps_;
  const Element* const x_;
  const Weight* const weight_;
  const float* const residual_;
  Out* const out_;
  float* const sum_;
};

template <class Element, class Weight, class Out>
void normalise_rows_of(const RmsNormParams& params, int64_t first_row, int64_t rows) {
  for (int64_t row = first_row; row < first_row + rows; ++row)
    RmsNormRow<Element, Weight, Out>(params, row).normalise();
}

template <class Element, class Weight>
void normalise_rows_of(const RmsNormParams& params, int64_t first_row, int64_t rows) {
  switch (params.out_dtype) {
    case DType::kFloat16:
      return normalise_rows_of<Element, Weight, Float16>(params, first_row, rows);
    case DType::kBFloat16:
      return normalise_rows_of<Element, Weight, BFloat16>(params, first_row, rows);
    default:
      return normalise_rows_of<Element, Weight, float>(params, first_row, rows);
  }
}

template <class Element>
void normalise_rows_of(const RmsNormParams& params, int64_t first_row, int64_t rows) {
  if (params.weight_dtype == params.dtype) return normalise_rows_of<Element, Element>(params, first_row, rows);
  return normalise_rows_of<Element, float>(params, first_row, rows);
}

inline void normalise_rows(const RmsNormParams& params, int64_t first_row, int64_t rows) {
  switch (params.dtype) {
    case DType::kFloat16:
      return normalise_rows_of<Float16>(params, first_row, rows);
    case DType::kBFloat16:
      return normalise_rows_of<BFloat16>(params, first_row, rows);
    default:
      return normalise_rows_of<float>(params, first_row, rows);
  }
}

}  // namespace
}  // namespace selective_scan
