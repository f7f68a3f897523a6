// What the kernels of matrix products use of the machine and CUDA C++ has no word for. The tensor cores' instructions
// here need compute capability 8.0.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace selective_scan {

// 16 bytes, or zeros without reading. Predicated loads, where the compiler would branch around each and keep only one
// on the way at a time.
__device__ __forceinline__ uint4 load_or_zeros(const void* memory, bool is_there) {
  uint4 value;
  asm volatile(
      "{ .reg .pred there; setp.ne.b32 there, %5, 0; mov.b32 %0, 0; mov.b32 %1, 0; mov.b32 %2, 0; mov.b32 %3, 0;"
      " @there ld.global.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "=&r"(value.x), "=&r"(value.y), "=&r"(value.z), "=&r"(value.w)
      : "l"(memory), "r"(static_cast<int>(is_there)));
  return value;
}

// The same of memory that no kernel in flight writes and nobody on this multiprocessor reads again: it takes no place
// in the first-level cache.
__device__ __forceinline__ uint4 load_once_or_zeros(const void* memory, bool is_there) {
  uint4 value;
  asm volatile(
      "{ .reg .pred there; setp.ne.b32 there, %5, 0; mov.b32 %0, 0; mov.b32 %1, 0; mov.b32 %2, 0; mov.b32 %3, 0;"
      " @there ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "=&r"(value.x), "=&r"(value.y), "=&r"(value.z), "=&r"(value.w)
      : "l"(memory), "r"(static_cast<int>(is_there)));
  return value;
}

// Starts a copy of 16 bytes from device to shared memory, or of as many zeros; a copy of zeros reads nothing.
__device__ __forceinline__ void copy_async_or_zeros(void* shared, const void* global, bool is_there) {
#if __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(is_there ? 16 : 0)
               : "memory");
#endif
}

// Four 8x8 matrices of 16-bit elements from shared memory; a lane gives the address of a row of eight.
__device__ __forceinline__ void load_matrices(uint32_t (&words)[4], const void* row) {
#if __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(address)
               : "memory");
#endif
}

// sums += a b for a 16x16 `a` and a 16x8 `b` of float16 or bfloat16, in float32. Lane 4g + t has, of `a`, the elements
// 2t, 2t + 1 of row g, of row g + 8, then 2t + 8, 2t + 9 of either; of `b` the same of column g; of the sums columns
// 2t, 2t + 1 of row g, then of row g + 8.
template <typename Element>
__device__ __forceinline__ void multiply_add(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<Element, __half>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
#endif
}

}  // namespace selective_scan
