// Moving tiles between device and shared memory in chunks of adjacent elements. A thread copies a chunk into a slot of
// its own and reads the slot itself, so waiting for its own copies is all the synchronisation a slot needs.
#pragma once

#include <cstdint>
#include <cstring>

#include "../native/ops/dtype.h"
#include "ptx.cuh"
#include "scan_math.cuh"

namespace selective_scan {

// Adjacent elements as the words of one vector: a struct of 16-bit elements would be copied one by one.
template <typename Element, int kCount>
struct alignas(sizeof(Element) * kCount) Chunk {
  static constexpr int kWords = sizeof(Element) * kCount / 4;
  uint32_t words[kWords];
};

// The two elements of a word.
template <typename Element>
__device__ __forceinline__ float2 widen_pair(uint32_t word) {
  if constexpr (std::is_same_v<Element, __half>) {
    __half2 pair;
    memcpy(&pair, &word, sizeof(pair));
    return __half22float2(pair);
  } else {
    return {__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u)};
  }
}

template <typename Element>
__device__ __forceinline__ uint32_t narrow_pair(float low, float high) {
  uint32_t word;
  if constexpr (std::is_same_v<Element, __half>) {
    const __half2 pair = __floats2half2_rn(low, high);
    memcpy(&word, &pair, sizeof(word));
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    memcpy(&word, &pair, sizeof(word));
  }
  return word;
}

template <typename Element, int kCount>
__device__ __forceinline__ void widen_chunk(const Chunk<Element, kCount>* slot, float (&values)[kCount]) {
  const Chunk<Element, kCount> chunk = *slot;
#pragma unroll
  for (int j = 0; j < chunk.kWords; ++j) {
    if constexpr (sizeof(Element) == 4) {
      values[j] = __uint_as_float(chunk.words[j]);
    } else {
      const float2 pair = widen_pair<Element>(chunk.words[j]);
      values[2 * j] = pair.x;
      values[2 * j + 1] = pair.y;
    }
  }
}

template <typename Element, int kCount>
__device__ __forceinline__ void fetch_chunk(Chunk<Element, kCount>* slot, const Element* source) {
  copy_async<sizeof(Element) * kCount>(slot, source);
}

// The first `count` elements of a chunk that is incomplete or not aligned; the rest of the slot is left as it is.
template <typename Element, int kCount>
__device__ __forceinline__ void fetch_elements(Chunk<Element, kCount>* slot, const Element* source, int count) {
  // All loads before the first store, so that their latencies overlap.
  using Bits = std::conditional_t<sizeof(Element) == 4, uint32_t, uint16_t>;
  const auto* from = reinterpret_cast<const Bits*>(source);
  auto* to = reinterpret_cast<Bits*>(slot);
  Bits values[kCount];
#pragma unroll
  for (int j = 0; j < kCount; ++j) {
    if (j < count) values[j] = from[j];
  }
#pragma unroll
  for (int j = 0; j < kCount; ++j) {
    if (j < count) to[j] = values[j];
  }
}

template <typename Element, int kCount>
__device__ __forceinline__ void store_chunk(Element* target, const float (&values)[kCount]) {
  Chunk<Element, kCount> chunk;
#pragma unroll
  for (int j = 0; j < chunk.kWords; ++j) {
    if constexpr (sizeof(Element) == 4) {
      chunk.words[j] = __float_as_uint(values[j]);
    } else {
      chunk.words[j] = narrow_pair<Element>(values[2 * j], values[2 * j + 1]);
    }
  }
  *reinterpret_cast<Chunk<Element, kCount>*>(target) = chunk;
}

template <typename Element, int kCount>
__device__ __forceinline__ void store_elements(Element* target, const float (&values)[kCount], int count) {
#pragma unroll
  for (int j = 0; j < kCount; ++j) {
    if (j < count) target[j] = narrow<Element>(values[j]);
  }
}

// Of a type that is known at run time only.
__device__ __forceinline__ float load_element(const void* memory, DType dtype, int64_t index) {
  if (dtype == DType::kFloat32) return static_cast<const float*>(memory)[index];
  const uint16_t bits = static_cast<const uint16_t*>(memory)[index];
  return dtype == DType::kFloat16 ? __half2float(__ushort_as_half(bits)) : __uint_as_float(uint32_t{bits} << 16);
}

__device__ __forceinline__ int clamp_count(int64_t count, int most) {
  return static_cast<int>(count < 0 ? 0 : count > most ? most : count);
}

}  // namespace selective_scan
