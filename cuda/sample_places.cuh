// Where in an order a sum is reached, found by a block without keeping the sums.
#pragma once

#include <cstdint>

#include "row_block.cuh"

namespace selective_scan {

constexpr int kSampleThreads = 512;  // more would have too few registers
constexpr int kSampleWarps = kSampleThreads / 32;
static_assert(kSampleWarps <= 32, "a lane for each warp's sum");

struct Place {
  int index;        // the end where there is none
  uint64_t before;  // the sum of what is before it
};

// The first place of [0, end) whose sum, with that of all before it, is above target(sum of all). Each warp sums up a
// stretch, and the stretch with the place is then what is shared out, until it is one of lanes. All threads have to
// call it, with the same numbers. kAtOnce measures are under way at a time.
template <int kAtOnce, typename Measure, typename Target>
__device__ __forceinline__ Place find_place(int end, uint64_t* shared, const Measure& measure, const Target& target) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int begin = 0;
  uint64_t before = 0;
  uint64_t wanted = 0;
  for (bool is_first = true;; is_first = false) {
    const int stretch = end - begin <= 32 ? 1 : (end - begin + kSampleThreads - 1) / kSampleThreads * 32;
    uint64_t own = 0;
    if (stretch == 1) {
      if (begin + lane < end) own = measure(begin + lane);
    } else {
      const int last = min(begin + (warp + 1) * stretch, end);
      uint64_t sum = 0;
#pragma unroll kAtOnce
      for (int i = begin + warp * stretch + lane; i < last; i += 32) sum += measure(i);
      sum = combine_warp(sum, Add());
      __syncthreads();
      if (lane == 0) shared[warp] = sum;
      __syncthreads();
      if (lane < kSampleWarps) own = shared[lane];
    }
    uint64_t up_to = own;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
      const uint64_t other = __shfl_up_sync(~0u, up_to, offset);
      if (lane >= offset) up_to += other;
    }
    if (is_first) {
      const uint64_t all = __shfl_sync(~0u, up_to, 31);
      wanted = target(all);
      if (wanted >= all) return {end, all};
    }
    const int found = __ffs(__ballot_sync(~0u, before + up_to > wanted)) - 1;
    before += __shfl_sync(~0u, up_to - own, found);
    begin += found * stretch;
    end = min(begin + stretch, end);
    if (stretch == 1) return {begin, before};
  }
}

}  // namespace selective_scan
