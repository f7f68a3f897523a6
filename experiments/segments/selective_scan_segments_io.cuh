// What the segment-parallel scan reads and writes through shared memory: bytes from any alignment, in 16-byte copies.
#pragma once

#include "selective_scan_segments_args.cuh"
#include "tile_io.cuh"

namespace selective_scan {

__device__ __forceinline__ unsigned char* segments_shared() {
  extern __shared__ __align__(16) unsigned char segments_memory[];
  return segments_memory;
}

__device__ __forceinline__ int misalignment(const void* pointer) {
  return static_cast<int>(reinterpret_cast<uintptr_t>(pointer) & 15);
}

// Copies the first `bytes` of kBytes and clears the others; bytes is a multiple of two and at most kBytes.
template <int kBytes>
__device__ __forceinline__ void copy_async_part(void* shared, const void* global, int bytes) {
#if __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(bytes) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(address), "l"(global), "r"(bytes) : "memory");
  }
#else
  for (int i = 0; i < kBytes / 2; ++i) {
    static_cast<uint16_t*>(shared)[i] = 2 * i < bytes ? static_cast<const uint16_t*>(global)[i] : uint16_t{0};
  }
#endif
}

// A whole vector, from the boundary of kBytes at or before `global`.
template <int kBytes>
__device__ __forceinline__ void copy_async_boundary(void* shared, const void* global) {
  copy_async<kBytes>(shared, reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(global) &
                                                           ~static_cast<uintptr_t>(kBytes - 1)));
}

// Vector `v` of a row of `count` elements that begins at `row`, counted from the 16-byte boundary before it.
template <typename Element>
__device__ __forceinline__ void fetch_row_vector(void* shared, const Element* row, int v, int count) {
  const int skew = misalignment(row);
  const int bytes = clamp_count(static_cast<int64_t>(skew) + count * static_cast<int>(sizeof(Element)) - 16 * v, 16);
  const auto* from = reinterpret_cast<const unsigned char*>(row) - skew + 16 * v;
  copy_async_part<16>(static_cast<unsigned char*>(shared) + 16 * v, bytes > 0 ? static_cast<const void*>(from) : row,
                      bytes);
}

template <typename Element>
__device__ __forceinline__ float widen(const void* element) {
  if constexpr (sizeof(Element) == 4) {
    return *static_cast<const float*>(element);
  } else if constexpr (std::is_same_v<Element, __half>) {
    return __half2float(*static_cast<const __half*>(element));
  } else {
    return __uint_as_float(static_cast<uint32_t>(*static_cast<const uint16_t*>(element)) << 16);
  }
}

// kCount adjacent elements at a 16-byte boundary.
template <typename Element, int kCount>
__device__ __forceinline__ void read_aligned(const unsigned char* shared, float (&values)[kCount]) {
  constexpr int kVector = 16 / sizeof(Element);
#pragma unroll
  for (int v = 0; v < kCount / kVector; ++v) {
    float part[kVector];
    widen_chunk(reinterpret_cast<const Chunk<Element, kVector>*>(shared + 16 * v), part);
#pragma unroll
    for (int j = 0; j < kVector; ++j) values[v * kVector + j] = part[j];
  }
}

// kCount adjacent elements anywhere. Halves of words are joined by a shift instead of being read one by one.
template <typename Element, int kCount>
__device__ __forceinline__ void read_unaligned(const unsigned char* shared, float (&values)[kCount]) {
  if constexpr (sizeof(Element) == 4) {
#pragma unroll
    for (int j = 0; j < kCount; ++j) values[j] = reinterpret_cast<const float*>(shared)[j];
  } else {
    const unsigned odd = reinterpret_cast<uintptr_t>(shared) & 2;
    const auto* words = reinterpret_cast<const uint32_t*>(shared - odd);
    uint32_t word = words[0];
#pragma unroll
    for (int j = 0; j < kCount / 2; ++j) {
      const uint32_t next = words[j + 1];
      const float2 pair = widen_pair<Element>(__funnelshift_r(word, next, 8 * odd));
      values[2 * j] = pair.x;
      values[2 * j + 1] = pair.y;
      word = next;
    }
  }
}

}  // namespace selective_scan
