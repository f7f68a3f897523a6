// What the scan kernels use of the machine and CUDA C++ has no exact word for. Nothing else in them is PTX, so the
// tests can run them without a GPU: there a header of the emulator (test/emulator) takes this one's place.
#pragma once

#ifdef SELECTIVE_SCAN_EMULATOR
#include "ptx_emulated.h"
#else

#include <cstdint>
#include <type_traits>

namespace selective_scan {

// 2^x in one instruction; without .ftz the compiler adds a rescaling for subnormal results, which no decay needs.
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 1 / x in one instruction, with a relative error of 2^-23.
__device__ __forceinline__ float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// In one instruction, with a relative error of 2^-11.
__device__ __forceinline__ float tanh_approx(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// threadIdx.x, read anew at each call. What a tile's loads and stores derive from it is a few instructions; derived
// from a plain threadIdx.x the compiler would keep all of it in registers during the walk over the states, which has
// none to spare.
__device__ __forceinline__ unsigned fresh_thread() {
  unsigned thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
}

// The shared memory that the launch asked for.
__device__ __forceinline__ unsigned char* block_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return memory;
}

// Stores adjacent floats of shared memory as one vector. The compiler splits some such stores into words, which then
// meet in the same banks.
__device__ __forceinline__ void store_shared(float* target, const float (&values)[4]) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(target));
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(values[0]), "f"(values[1]),
               "f"(values[2]), "f"(values[3]));
}

__device__ __forceinline__ void store_shared(float* target, const float (&values)[2]) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(target));
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(address), "f"(values[0]), "f"(values[1]));
}

// Starts a copy of adjacent bytes from device to shared memory, both on boundaries of kBytes.
template <int kBytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16, "an asynchronous copy is a word or a vector");
#if __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(address), "l"(global), "n"(kBytes) : "memory");
  }
#else
  using Vector = std::conditional_t<kBytes == 16, uint4, std::conditional_t<kBytes == 8, uint2, uint32_t> >;
  *static_cast<Vector*>(shared) = *static_cast<const Vector*>(global);
#endif
}

// The same of 16 bytes, but the second-level cache reads the whole line of 128: for rows whose next bytes come next.
__device__ __forceinline__ void copy_async_line(void* shared, const void* global) {
#if __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
#else
  copy_async<16>(shared, global);
#endif
}

// The same, or zeros, which reads nothing.
__device__ __forceinline__ void copy_async_line(void* shared, const void* global, bool is_there) {
#if __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(address), "l"(global),
               "r"(is_there ? 16 : 0)
               : "memory");
#else
  *static_cast<uint4*>(shared) = is_there ? *static_cast<const uint4*>(global) : uint4{};
#endif
}

// Closes the group of copies started so far. Closed early, a group is long done when it is waited for.
__device__ __forceinline__ void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits for this thread's copies of all closed groups but the last kUnderWay.
template <int kUnderWay = 0>
__device__ __forceinline__ void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kUnderWay) : "memory");
#endif
}

// The value of the lane whose number has the bits kStay of this lane's, and the others of `lane`, which has none of
// kStay. __shfl_sync knows only groups of adjacent lanes.
template <int kStay>
__device__ __forceinline__ float value_of_lane(float value, int lane) {
  float other;
  asm volatile("shfl.sync.idx.b32 %0, %1, %2, %3, 0xffffffff;"
               : "=f"(other)
               : "f"(value), "r"(lane), "n"(kStay << 8 | 31));
  return other;
}

// sums += x * w^T of the tensor cores, x of 16 rows of which the last eight are 0, w of 8, both of 16 columns that are
// float16 or bfloat16. Lane l has row l / 4 of both: of columns 2 * (l % 4) and the next a pair in the first word, of
// those 8 further on one in the second. Of the sums it has row l / 4, at 2 * (l % 4) and the next, and then of row 8 +
// l / 4.
template <bool kIsFloat16>
__device__ __forceinline__ void multiply_tile(float (&sums)[4], uint32_t x0, uint32_t x1, uint32_t w0, uint32_t w1) {
#if __CUDA_ARCH__ >= 800
  if constexpr (kIsFloat16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %6, %5, %6}, {%7, %8}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(x0), "r"(x1), "r"(0), "r"(w0), "r"(w1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %6, %5, %6}, {%7, %8}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(x0), "r"(x1), "r"(0), "r"(w0), "r"(w1));
  }
#endif
}

// A barrier of the block that warps may reach at different places of the code; __syncthreads has to be the same one for
// all threads, and so has bar.sync.
__device__ __forceinline__ void block_barrier() { asm volatile("barrier.sync 1, %0;" ::"r"(blockDim.x) : "memory"); }

}  // namespace selective_scan

#endif
