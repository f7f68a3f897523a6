// Rows, each read three times, after the first time mostly from the cache: for its maximum, for the sum of its
// exponentials, and to be written. Exponentials are computed anew for the last, which costs about what storing them
// would. Included once for each vector set, after the header that defines its Vec.
#pragma once

#include <cmath>
#include <limits>

#include "lane_parts.h"
#include "softmax_rows.h"
#include "vector_math.h"

namespace selective_scan {
namespace {

constexpr int kLanes = Vec::kLanes;
constexpr int64_t kStretch = 1 << 12;  // elements whose exponentials are summed in float32

template <class Element, class Out>
class SoftmaxRow {
 public:
  SoftmaxRow(const SoftmaxParams& params, int64_t row)
      : length_(params.length),
        log_(params.log),
        x_(static_cast<const Element*>(params.x) + row * length_),
        out_(static_cast<Out*>(params.out) + row * length_) {}

  void write() const {
    const Vec maximum = Vec::set(greatest());
    const double sum = sum_of_exponentials(maximum);
    if (log_) {
      const Vec log_sum = Vec::set(static_cast<float>(std::log(sum)));
      each([&](Vec x) { return (x - maximum) - log_sum; });
    } else {
      const Vec scale = Vec::set(static_cast<float>(1.0 / sum));
      each([&](Vec x) { return exp(x - maximum) * scale; });
    }
  }

 private:
  // NaN is passed over here, and gets into the sum.
  float greatest() const {
    const Vec lowest = Vec::set(-std::numeric_limits<float>::infinity());
    Vec best = lowest;
    int64_t i = 0;
    for (; i + kLanes <= length_; i += kLanes) {
      const Vec x = load(x_ + i);
      best = select_greater(x, best, x, best);
    }
    float maximum = greatest_lane(best);
    if (i < length_) {
      float rest[kLanes];
      store(rest, load(x_ + i, static_cast<int>(length_ - i)));
      for (int64_t j = 0; j < length_ - i; ++j) maximum = rest[j] > maximum ? rest[j] : maximum;
    }
    return maximum;
  }

  double sum_of_exponentials(Vec maximum) const {
    double sum = 0;
    int64_t i = 0;
    while (i + kLanes <= length_) {
      const int64_t end = length_ - i < kStretch ? length_ : i + kStretch;
      Vec part = Vec::zero();
      for (; i + kLanes <= end; i += kLanes) part = part + exp(load(x_ + i) - maximum);
      sum += sum_of_lanes(part);
    }
    if (i < length_) {
      const int count = static_cast<int>(length_ - i);
      float rest[kLanes];
      store(rest, exp(load(x_ + i, count) - maximum));
      for (int j = 0; j < count; ++j) sum += rest[j];
    }
    return sum;
  }

  template <class F>
  void each(F f) const {
    for (int64_t i = 0; i < length_; i += kLanes) {
      const int count = lanes_at(i, length_);
      store_lanes(out_ + i, f(load_lanes(x_ + i, count)), count);
    }
  }

  const int64_t length_;
  const bool log_;
  const Element* const x_;
  Out* const out_;
};

template <class Element, class Out>
void softmax_rows_of(const SoftmaxParams& params, int64_t first_row, int64_t rows) {
  for (int64_t row = first_row; row < first_row + rows; ++row) SoftmaxRow<Element, Out>(params, row).write();
}

template <class Element>
void softmax_rows_of(const SoftmaxParams& params, int64_t first_row, int64_t rows) {
  switch (params.out_dtype) {
    case DType::kFloat16:
      return softmax_rows_of<Element, Float16>(params, first_row, rows);
    case DType::kBFloat16:
      return softmax_rows_of<Element, BFloat16>(params, first_row, rows);
    default:
      return softmax_rows_of<Element, float>(params, first_row, rows);
  }
}

inline void softmax_rows(const SoftmaxParams& params, int64_t first_row, int64_t rows) {
  switch (params.dtype) {
    case DType::kFloat16:
      return softmax_rows_of<Float16>(params, first_row, rows);
    case DType::kBFloat16:
      return softmax_rows_of<BFloat16>(params, first_row, rows);
    default:
      return softmax_rows_of<float>(params, first_row, rows);
  }
}

}  // namespace
}  // namespace selective_scan
