// How warps of a specialised scan hand tiles over. Named barriers rather than mbarriers, which begin with sm_80: the
// warps that give a tile arrive and go on, those that take it wait.
#pragma once

namespace selective_scan {

// The barriers of even tiles; odd tiles have the next. 0 is __syncthreads'. A tile's arrival at one is always answered
// at the other before the next but one arrives there, so no barrier sees two tiles at once.
constexpr int kPrepared = 1;  // dt, dt * u, B and C are there
constexpr int kWalked = 3;    // y is there, and the others may be overwritten

// All threads of a warp together. The barriers are constants, because a kernel with a computed one reserves all 16.
template <int kBarrier, int kThreads>
__device__ __forceinline__ void arrive_for(unsigned tile) {
  __syncwarp();
  if (tile % 2 == 0) {
    asm volatile("bar.arrive %0, %1;" ::"n"(kBarrier), "n"(kThreads) : "memory");
  } else {
    asm volatile("bar.arrive %0, %1;" ::"n"(kBarrier + 1), "n"(kThreads) : "memory");
  }
}

template <int kBarrier, int kThreads>
__device__ __forceinline__ void wait_for(unsigned tile) {
  __syncwarp();
  if (tile % 2 == 0) {
    asm volatile("bar.sync %0, %1;" ::"n"(kBarrier), "n"(kThreads) : "memory");
  } else {
    asm volatile("bar.sync %0, %1;" ::"n"(kBarrier + 1), "n"(kThreads) : "memory");
  }
}

}  // namespace selective_scan
