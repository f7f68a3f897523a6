// Takes the place of cuda/ptx.cuh; what each function is for is said there.
#pragma once

#include <cmath>

#include "cuda_names.h"
#include "memory.h"

namespace selective_scan {

inline float exp2_approx(float x) { return std::exp2(x); }

inline float reciprocal_approx(float x) { return 1 / x; }

inline float tanh_approx(float x) { return std::tanh(x); }

inline unsigned fresh_thread() { return threadIdx.x; }

inline unsigned char* block_memory() { return emulator::shared_memory(); }

template <int kCount>
void store_shared(float* target, const float (&values)[kCount]) {
  if (reinterpret_cast<uintptr_t>(target) % sizeof(values) != 0) emulator::fail("a vector is not on its boundary");
  for (int j = 0; j < kCount; ++j) target[j] = values[j];
}

template <int kBytes>
void copy_async(void* shared, const void* global) {
  emulator::start_copy(shared, global, kBytes);
}

inline void copy_async_line(void* shared, const void* global) { emulator::start_copy(shared, global, 16); }

inline void commit_copies() { emulator::close_copies(); }

template <int kUnderWay = 0>
void wait_for_copies() {
  emulator::finish_copies(kUnderWay);
}

template <int kStay>
float value_of_lane(float value, int lane, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if ((lane & kStay) != 0 || lane >= 32) emulator::fail("there is no such lane in the group");
  return emulator::value_of_lane(value, (threadIdx.x & 31 & kStay) | static_cast<unsigned>(lane), {file, line});
}

inline void block_barrier() { emulator::meet_block({"block_barrier()", 0}); }

}  // namespace selective_scan
