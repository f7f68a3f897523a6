// How the adjacent lanes that share a channel split its states: four side by side each, one vector of memory.
#pragma once

#include <cstdint>

#include "slots.cuh"
#include "tile_io.cuh"

namespace selective_scan {

constexpr int kUpdateVector = 4;

// Of the batch, that a thread works on at once. A channel has a lane for each.
constexpr int kMostRows = 4;

// The elements of a row of states that a lane holds: [first, first + count), none where count is 0.
struct LanePart {
  int64_t first;
  int count;
};

// Zeros where the lane holds nothing.
template <bool kWhole, typename T>
__device__ __forceinline__ Chunk<T, kUpdateVector> load_part(const T* row, LanePart part) {
  Chunk<T, kUpdateVector> chunk = {};
  if constexpr (kWhole) {
    if (part.count > 0) chunk = *reinterpret_cast<const Chunk<T, kUpdateVector>*>(row + part.first);
  } else {
    fetch_elements(&chunk, row + part.first, part.count);
  }
  return chunk;
}

template <bool kWhole, typename T>
__device__ __forceinline__ void store_part(T* row, LanePart part, const float (&values)[kUpdateVector]) {
  if constexpr (kWhole) {
    if (part.count > 0) store_chunk(row + part.first, values);
  } else {
    store_elements(row + part.first, values, part.count);
  }
}

// Sums each row's share over the lanes of a channel. Lane l then has the sum of row l % kRows: in each of the first
// rounds a lane gives half of its rows away for the other half of its neighbour's. The order of the sum is that of
// several rows also where there is one, so that a row gives the same bits however many there are beside it.
template <int kRows>
__device__ __forceinline__ float sum_over_lanes(float (&y)[kRows], unsigned lane, unsigned lanes) {
#pragma unroll
  for (unsigned half = kRows / 2; half >= 1; half /= 2) {
    const bool upper = (lane & half) != 0;
#pragma unroll
    for (unsigned i = 0; i < half; ++i) {
      const float kept = upper ? y[i + half] : y[i];
      const float given = upper ? y[i] : y[i + half];
      y[i] = kept + __shfl_xor_sync(~0u, given, half);
    }
  }
  static_assert(kRows == 1 || kRows == kMostRows, "the order is known of these");
  if constexpr (kRows == 1) {
#pragma unroll
    for (unsigned offset = kMostRows / 2; offset >= 1; offset /= 2) y[0] += __shfl_xor_sync(~0u, y[0], offset);
  }
  for (unsigned offset = kMostRows; offset < lanes; offset *= 2) y[0] += __shfl_xor_sync(~0u, y[0], offset);
  return y[0];
}

}  // namespace selective_scan
