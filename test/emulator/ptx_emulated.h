// Takes the place of cuda/ptx.cuh; what each function is for is said there.
#pragma once

#include <cuda_fp16.h>

#include <cmath>
#include <utility>

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

inline void copy_async_line(void* shared, const void* global, bool is_there) {
  if (is_there) {
    emulator::start_copy(shared, global, 16);
  } else {
    std::memset(shared, 0, 16);
  }
}

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

template <bool kIsFloat16>
void multiply_tile(float (&sums)[4], uint32_t x0, uint32_t x1, uint32_t w0, uint32_t w1) {
  const auto widen = [](uint32_t bits) {
    if (!kIsFloat16) return __uint_as_float(bits << 16);
    const auto half = static_cast<uint16_t>(bits);
    __half value;
    std::memcpy(&value, &half, sizeof(value));
    return __half2float(value);
  };
  const unsigned row = threadIdx.x % 32 / 4;
  const unsigned column = threadIdx.x % 4 * 2;
  for (unsigned lane = 0; lane < 4; ++lane) {
    for (const auto& words : {std::pair{x0, w0}, std::pair{x1, w1}}) {
      const auto word_of = [&](uint32_t word, unsigned of_row) {
        return __float_as_uint(
            emulator::value_of_lane(__uint_as_float(word), of_row * 4 + lane, {"multiply_tile()", 0}));
      };
      const uint32_t x = word_of(words.first, row);
      const uint32_t w[2] = {word_of(words.second, column), word_of(words.second, column + 1)};
      for (int i = 0; i < 2; ++i) {
        sums[i] += widen(x & 0xffff) * widen(w[i] & 0xffff) + widen(x >> 16) * widen(w[i] >> 16);
      }
    }
  }
}

inline void block_barrier() { emulator::meet_block({"block_barrier()", 0}); }

}  // namespace selective_scan
