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
#undef __noinline__
#define __noinline__
#undef __grid_constant__
#define __grid_constant__

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
