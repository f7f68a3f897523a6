// Moves tiles between the arrays of a call and scratch: in scratch a tile is float32 [step][lane], a step one vector.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace selective_scan {
namespace {

constexpr int kLanes = Vec::kLanes;

// Where element (lane, step) of a tile lies. One of the strides is 1.
struct Plane {
  const void* data;
  DType dtype;
  int64_t lane_stride;
  int64_t step_stride;
};

// Each round interleaves the upper half of the rows with the lower, which rotates an element's address by one bit:
// after log2(kLanes) rounds row and column have changed places.
inline void transpose(Vec (&rows)[kLanes]) {
  for (int round = 1; round < kLanes; round *= 2) {
    Vec next[kLanes];
    SELECTIVE_SCAN_UNROLL
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = zip_low(rows[i], rows[i + kLanes / 2]);
      next[2 * i + 1] = zip_high(rows[i], rows[i + kLanes / 2]);
    }
    SELECTIVE_SCAN_UNROLL
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

template <class T>
void load_square(const T* source, int64_t lane_stride, float* tile) {
  Vec rows[kLanes];
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kLanes; ++i) rows[i] = load(source + i * lane_stride);
  transpose(rows);
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kLanes; ++i) store(tile + i * kLanes, rows[i]);
}

template <class T>
void load_part_of_square(const T* source, int64_t lane_stride, int lanes, int steps, float* tile) {
  Vec rows[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const T* row = source + i * lane_stride;
    rows[i] = i >= lanes ? Vec::zero() : steps == kLanes ? load(row) : load(row, steps);
  }
  transpose(rows);
  for (int i = 0; i < steps; ++i) store(tile + i * kLanes, rows[i]);
}

template <class T>
void store_square(T* target, int64_t lane_stride, const float* tile) {
  Vec rows[kLanes];
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kLanes; ++i) rows[i] = load(tile + i * kLanes);
  transpose(rows);
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kLanes; ++i) store(target + i * lane_stride, rows[i]);
}

template <class T>
void store_part_of_square(T* target, int64_t lane_stride, int lanes, int steps, const float* tile) {
  Vec rows[kLanes];
  for (int i = 0; i < kLanes; ++i) rows[i] = i < steps ? load(tile + i * kLanes) : Vec::zero();
  transpose(rows);
  for (int i = 0; i < lanes; ++i) {
    T* row = target + i * lane_stride;
    if (steps == kLanes) {
      store(row, rows[i]);
    } else {
      store(row, rows[i], steps);
    }
  }
}

template <class T>
void load_tile(const T* source, int64_t lane_stride, int64_t step_stride, int lanes, int64_t steps, float* tile) {
  if (lane_stride == 1) {
    for (int64_t t = 0; t < steps; ++t) {
      const T* row = source + t * step_stride;
      store(tile + t * kLanes, lanes == kLanes ? load(row) : load(row, lanes));
    }
    return;
  }
  for (int64_t t = 0; t < steps; t += kLanes) {
    if (lanes == kLanes && steps - t >= kLanes) {
      load_square(source + t, lane_stride, tile + t * kLanes);
    } else {
      const int count = steps - t < kLanes ? static_cast<int>(steps - t) : kLanes;
      load_part_of_square(source + t, lane_stride, lanes, count, tile + t * kLanes);
    }
  }
}

template <class T>
void store_tile(T* target, int64_t lane_stride, int64_t step_stride, int lanes, int64_t steps, const float* tile) {
  if (lane_stride == 1) {
    for (int64_t t = 0; t < steps; ++t) {
      T* row = target + t * step_stride;
      if (lanes == kLanes) {
        store(row, load(tile + t * kLanes));
      } else {
        store(row, load(tile + t * kLanes), lanes);
      }
    }
    return;
  }
  for (int64_t t = 0; t < steps; t += kLanes) {
    if (lanes == kLanes && steps - t >= kLanes) {
      store_square(target + t, lane_stride, tile + t * kLanes);
    } else {
      const int count = steps - t < kLanes ? static_cast<int>(steps - t) : kLanes;
      store_part_of_square(target + t, lane_stride, lanes, count, tile + t * kLanes);
    }
  }
}

// The tile whose first element is (lane, step) of the plane; lanes past `lanes` are zeros.
inline void load_tile(const Plane& plane, int64_t lane, int64_t step, int lanes, int64_t steps, float* tile) {
  const int64_t offset = lane * plane.lane_stride + step * plane.step_stride;
  switch (plane.dtype) {
    case DType::kFloat16:
      return load_tile(static_cast<const Float16*>(plane.data) + offset, plane.lane_stride, plane.step_stride, lanes,
                       steps, tile);
    case DType::kBFloat16:
      return load_tile(static_cast<const BFloat16*>(plane.data) + offset, plane.lane_stride, plane.step_stride, lanes,
                       steps, tile);
    default:
      return load_tile(static_cast<const float*>(plane.data) + offset, plane.lane_stride, plane.step_stride, lanes,
                       steps, tile);
  }
}

// `plane` describes the target, which `data` is.
inline void store_tile(const Plane& plane, void* data, int64_t lane, int64_t step, int lanes, int64_t steps,
                       const float* tile) {
  const int64_t offset = lane * plane.lane_stride + step * plane.step_stride;
  switch (plane.dtype) {
    case DType::kFloat16:
      return store_tile(static_cast<Float16*>(data) + offset, plane.lane_stride, plane.step_stride, lanes, steps, tile);
    case DType::kBFloat16:
      return store_tile(static_cast<BFloat16*>(data) + offset, plane.lane_stride, plane.step_stride, lanes, steps,
                        tile);
    default:
      return store_tile(static_cast<float*>(data) + offset, plane.lane_stride, plane.step_stride, lanes, steps, tile);
  }
}

}  // namespace
}  // namespace selective_scan
