// Arrays of any float type as floats, and back. Included once for each vector set, after the header that defines its
// Vec.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../ops.h"
#include "simd_types.h"

namespace selective_scan {
namespace {

constexpr int kLanes = Vec::kLanes;

// Calls use with a value of the element type, for the type's sake.
template <class Use>
inline void with_element(DType dtype, Use use) {
  switch (dtype) {
    case DType::kFloat16:
      return use(Float16{});
    case DType::kBFloat16:
      return use(BFloat16{});
    default:
      return use(float{});
  }
}

// Writes whole vectors of floats `stride` apart, the last filled up with zeros.
template <class T>
inline void widen(const T* from, int64_t count, float* to, int64_t stride) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes, to += stride) store(to, load(from + i));
  if (i < count) store(to, load(from + i, static_cast<int>(count - i)));
}

// The elements of an array from `first` on.
inline void widen(const void* array, DType dtype, int64_t first, int64_t count, float* to, int64_t stride = kLanes) {
  with_element(dtype,
               [&](auto element) { widen(static_cast<const decltype(element)*>(array) + first, count, to, stride); });
}

template <class T>
inline void narrow(const float* from, int64_t count, T* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
  const int rest = static_cast<int>(count - i);
  if (rest > 0) store(to + i, load(from + i, rest), rest);
}

// Adds the bias, if any, to a row's products from `feature` on, and stores them in the outputs that they belong to.
inline void store_row(const LinearParams& params, int64_t row, int64_t feature, int64_t count, const float* bias,
                      float* products) {
  if (bias) {
    for (int64_t i = 0; i < count; ++i) products[i] += bias[i];
  }
  int64_t first = 0;
  for (int i = 0; i < params.outputs; ++i) {
    const int64_t begin = std::max(first, feature);
    const int64_t end = std::min(first + params.sizes[i], feature + count);
    if (begin < end) {
      with_element(params.out_dtype, [&](auto element) {
        auto* const out = static_cast<decltype(element)*>(params.out[i]);
        narrow(products + (begin - feature), end - begin, out + row * params.sizes[i] + (begin - first));
      });
    }
    first += params.sizes[i];
  }
}

}  // namespace
}  // namespace selective_scan
