// How many lanes of a vector a row has, and what the lanes of one come to. Included after the header that defines Vec.
#pragma once

#include <cstdint>

#include "simd_lanes.h"

namespace selective_scan {
namespace {

// The lanes of a vector at `i` of a row.
inline int lanes_at(int64_t i, int64_t length) {
  return length - i < Vec::kLanes ? static_cast<int>(length - i) : Vec::kLanes;
}

inline float sum_of_lanes(Vec x) {
  float lanes[Vec::kLanes];
  store(lanes, x);
  for (int half = Vec::kLanes / 2; half >= 1; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

inline float greatest_lane(Vec x) {
  float lanes[Vec::kLanes];
  store(lanes, x);
  float greatest = lanes[0];
  for (const float lane : lanes) greatest = lane > greatest ? lane : greatest;
  return greatest;
}

}  // namespace
}  // namespace selective_scan
