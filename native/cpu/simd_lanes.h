// Vectors of memory that may be in part. Included after the header that defines a vector set's Vec.
#pragma once

#include "simd_types.h"

namespace selective_scan {
namespace {

// The first `count` elements, from 1 to Vec::kLanes, and zeros.
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

// Calls body(first, count) for `total` elements, a vector at a time, of which the last may be in part.
template <class Body>
inline void for_each_vector(int64_t total, const Body& body) {
  int64_t first = 0;
  for (; first + Vec::kLanes <= total; first += Vec::kLanes) body(first, Vec::kLanes);
  if (first < total) body(first, static_cast<int>(total - first));
}

// Elements of one type as those of another, rounded to nearest even.
template <class From, class To>
void convert(const From* from, To* to, int64_t count) {
  for_each_vector(count, [&](int64_t i, int lanes) { store_lanes(to + i, load_lanes(from + i, lanes), lanes); });
}

}  // namespace
}  // namespace selective_scan
