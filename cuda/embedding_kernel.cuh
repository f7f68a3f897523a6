// Rows of a table, a vector of a row a thread.
#pragma once

#include <cstdint>

#include "early_launch.cuh"
#include "tile_io.cuh"

namespace selective_scan {

constexpr int kEmbeddingThreads = 128;
constexpr int kEmbeddingVector = 8;

struct EmbeddingArgs {
  const int32_t* ids = nullptr;  // device memory
  const void* weight = nullptr;
  void* out = nullptr;
  int64_t rows = 0;
  int64_t vocab = 0;
  int64_t dim = 0;
};

// kVector divides dim. An id that is not there gives NaN.
template <typename From, typename To, int kVector>
__global__ void __launch_bounds__(kEmbeddingThreads) look_up(const __grid_constant__ EmbeddingArgs args) {
  wait_for_earlier_kernels();
  const uint64_t thread = static_cast<uint64_t>(blockIdx.x) * kEmbeddingThreads + threadIdx.x;
  const uint64_t vectors = static_cast<uint64_t>(args.dim) / kVector;
  const auto row = static_cast<int64_t>(thread / vectors);
  if (row >= args.rows) return;
  const int64_t column = static_cast<int64_t>(thread - row * vectors) * kVector;
  const int64_t id = args.ids[row];
  const bool is_there = id >= 0 && id < args.vocab;
  const auto* from = static_cast<const From*>(args.weight) + id * args.dim + column;
  auto* to = static_cast<To*>(args.out) + row * args.dim + column;
  float values[kVector];
#pragma unroll
  for (int j = 0; j < kVector; ++j) values[j] = __int_as_float(0x7fffffff);
  if constexpr (kVector == 1) {
    if (is_there) values[0] = static_cast<float>(*from);
    *to = narrow<To>(values[0]);
  } else {
    if (is_there) widen_chunk(reinterpret_cast<const Chunk<From, kVector>*>(from), values);
    store_chunk(to, values);
  }
}

}  // namespace selective_scan
