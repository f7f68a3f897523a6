// The names of CUDA C++ that a C++ compiler does not know from CUDA's headers, for threads that block.h runs.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#include "block.h"
#include "memory.h"

inline uint3 threadIdx;
inline uint3 blockIdx;
inline dim3 blockDim;
inline dim3 gridDim;

// Blocks run one after the other, so what a block shares can be static. What the launch asks for is memory.h's.
#undef __shared__
#define __shared__ static
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__
#undef __noinline__
#define __noinline__

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::meet_block({file, line});
}

inline void __syncwarp(unsigned = ~0u, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::meet_warp({file, line});
}

inline float __shfl_xor_sync(unsigned, float value, int mask, const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) {
  return emulator::value_of_lane(value, threadIdx.x % 32 ^ mask, {file, line});
}

inline int __any_sync(unsigned, int predicate, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  bool any = false;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (emulator::value_of_lane(predicate != 0 ? 1.0f : 0.0f, lane, {file, line}) != 0) any = true;
  }
  return any;
}

// Of 64 bits: two exchanges of 32.
template <typename T>
T wide_value_of_lane(T value, unsigned lane, emulator::Site site) {
  static_assert(sizeof(T) == 8, "two words");
  float words[2];
  std::memcpy(words, &value, sizeof(words));
  for (float& word : words) word = emulator::value_of_lane(word, lane, site);
  std::memcpy(&value, words, sizeof(words));
  return value;
}

inline uint64_t __shfl_xor_sync(unsigned, uint64_t value, int mask, const char* file = __builtin_FILE(),
                                int line = __builtin_LINE()) {
  return wide_value_of_lane(value, threadIdx.x % 32 ^ mask, {file, line});
}

inline double __shfl_xor_sync(unsigned, double value, int mask, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  return wide_value_of_lane(value, threadIdx.x % 32 ^ mask, {file, line});
}

inline uint64_t __shfl_sync(unsigned, uint64_t value, int lane, const char* file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
  return wide_value_of_lane(value, lane, {file, line});
}

inline uint64_t __shfl_up_sync(unsigned, uint64_t value, unsigned offset, const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
  const unsigned lane = threadIdx.x % 32;
  return wide_value_of_lane(value, lane >= offset ? lane - offset : lane, {file, line});
}

inline unsigned __ballot_sync(unsigned, bool vote, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  unsigned votes = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (emulator::value_of_lane(vote ? 1.0f : 0.0f, lane, {file, line}) != 0) votes |= 1u << lane;
  }
  return votes;
}

inline int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }

inline uint32_t atomicAdd(uint32_t* sum, uint32_t value) {
  const uint32_t before = *sum;
  *sum += value;
  return before;
}

inline int min(int a, int b) { return a < b ? a : b; }

inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned bits) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> bits % 32);
}

inline float __int_as_float(int bits) { return __uint_as_float(static_cast<unsigned>(bits)); }

inline int __float_as_int(float value) { return static_cast<int>(__float_as_uint(value)); }

// Shared memory as a window of 32-bit addresses.
inline size_t __cvta_generic_to_shared(const void* memory) {
  return static_cast<const unsigned char*>(memory) - emulator::shared_memory();
}

inline void* __cvta_shared_to_generic(size_t address) { return emulator::shared_memory() + address; }

template <typename T>
T __ldcg(const T* address) {
  return *address;
}

inline float rsqrtf(float x) { return 1 / std::sqrt(x); }

inline float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

inline void sincospif(float half_turns, float* sine, float* cosine) {
  const double angle = std::acos(-1.0) * half_turns;
  *sine = static_cast<float>(std::sin(angle));
  *cosine = static_cast<float>(std::cos(angle));
}
