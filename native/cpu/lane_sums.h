// Sums over the lanes of vectors. Included once for each vector set, after the header that defines its Vec.
#pragma once

#include "simd_types.h"

namespace selective_scan {
namespace {

// Lane i of the result is the sum of the lanes of vector i; there are as many as a vector has lanes. Each round
// interleaves the upper half of the vectors with the lower and adds: that halves them and brings a bit of the vector's
// number into the lane's. In which order lanes are added does not depend on i.
template <int kCount = Vec::kLanes>
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

}  // namespace
}  // namespace selective_scan
