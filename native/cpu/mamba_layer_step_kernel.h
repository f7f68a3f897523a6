// What a layer's step does to rows of floats beside products and the states' step. Included once for each vector set,
// after the header that defines its Vec.
#pragma once

#include "mamba_layer_step_rows.h"
#include "vector_math.h"

namespace selective_scan {
namespace {

template <class F>
void for_each_vector(int64_t count, F f) {
  for (int64_t i = 0; i < count; i += Vec::kLanes) {
    f(i, count - i < Vec::kLanes ? static_cast<int>(count - i) : Vec::kLanes);
  }
}

template <class T>
Vec load_lanes(const T* p, int count) {
  return count == Vec::kLanes ? load(p) : load(p, count);
}

template <class T>
void store_lanes(T* p, Vec x, int count) {
  if (count == Vec::kLanes) {
    store(p, x);
  } else {
    store(p, x, count);
  }
}

template <class T>
void widen_as(const void* from, int64_t count, float* to) {
  for_each_vector(count,
                  [&](int64_t i, int n) { store_lanes(to + i, load_lanes(static_cast<const T*>(from) + i, n), n); });
}

template <class T>
void narrow_as(const float* from, int64_t count, void* to) {
  for_each_vector(count, [&](int64_t i, int n) { store_lanes(static_cast<T*>(to) + i, load_lanes(from + i, n), n); });
}

inline void widen_row(const void* from, DType dtype, int64_t count, float* to) {
  switch (dtype) {
    case DType::kFloat16:
      return widen_as<Float16>(from, count, to);
    case DType::kBFloat16:
      return widen_as<BFloat16>(from, count, to);
    default:
      return widen_as<float>(from, count, to);
  }
}

inline void narrow_row(const float* from, DType dtype, int64_t count, void* to) {
  switch (dtype) {
    case DType::kFloat16:
      return narrow_as<Float16>(from, count, to);
    case DType::kBFloat16:
      return narrow_as<BFloat16>(from, count, to);
    default:
      return narrow_as<float>(from, count, to);
  }
}

inline void silu_row(float* x, int64_t count) {
  for_each_vector(count, [&](int64_t i, int n) { store_lanes(x + i, silu(load_lanes(x + i, n)), n); });
}

constexpr LayerStepRows kLayerStepRows = {widen_row, narrow_row, silu_row};

}  // namespace
}  // namespace selective_scan
