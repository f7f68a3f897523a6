// How cuBLASLt computes a layer whose features go to several outputs. Pure functions of sizes and addresses, so that a
// choice can be tested without a device.
#pragma once

#include <cstdint>

#include "linear_plan.h"

namespace selective_scan {

enum class LibraryWay {
  kApart,    // a product for each output
  kBatched,  // a batch of products, for outputs of one size
  kDealt,    // one product, into memory of its own, whose columns are copied to the outputs
};

// What a product more costs, in bytes that could be moved instead: to start and to end, which takes 2 us on an H100,
// and longer the longer its sums are. Its outputs are computed in tiles, for each of which x passes once more.
constexpr int64_t kBytesOfProduct = 3 << 20;
constexpr int64_t kBytesOfProductTerm = 2 << 10;
constexpr int64_t kTileOutputs = 128;

// Of results that are worth a batch even where it has to be copied. A batch of larger ones saves no more than the 2 to
// 4 us of an H100 that a copy of these takes.
constexpr int64_t kMostBatchedBytes = 4 << 20;

// Bytes between the outputs of a batch: tensor copies of the hardware take less than 2^40.
constexpr int64_t kMostBatchStride = int64_t{1} << 39;

inline int64_t result_bytes(const LinearParams& params) {
  return params.rows * params.out_features * element_bytes(params.out_dtype);
}

constexpr int64_t count_output_tiles(int64_t outputs) { return (outputs + kTileOutputs - 1) / kTileOutputs; }

// What is saved by one product in the place of one for each output.
inline int64_t bytes_saved_by_one(const LinearParams& params) {
  int64_t tiles = -count_output_tiles(params.out_features);
  for (int i = 0; i < params.outputs; ++i) tiles += count_output_tiles(params.sizes[i]);
  const int64_t x_bytes = params.rows * params.in_features * element_bytes(params.dtype);
  return tiles * x_bytes + (params.outputs - 1) * (kBytesOfProduct + params.in_features * kBytesOfProductTerm);
}

inline bool has_equal_outputs(const LinearParams& params) {
  for (int i = 1; i < params.outputs; ++i) {
    if (params.sizes[i] != params.sizes[0]) return false;
  }
  return true;
}

// Of outputs that are not empty. It does not depend on addresses, so that a call repeated gives the same bits.
inline LibraryWay library_way(const LinearParams& params) {
  if (params.outputs == 1) return LibraryWay::kApart;
  // Batches in float32 were slower than products apart, by up to a half. Outputs narrower than a tile leave tiles of a
  // batch in part empty.
  if (is_half_precision(params.dtype) && has_equal_outputs(params) && params.sizes[0] >= kTileOutputs &&
      result_bytes(params) <= kMostBatchedBytes) {
    return LibraryWay::kBatched;
  }
  // The copy reads the result once more and writes it once more.
  return 2 * result_bytes(params) <= bytes_saved_by_one(params) ? LibraryWay::kDealt : LibraryWay::kApart;
}

// Bytes from each output of a batch to the next, or 0 where they do not lie as a batch has to: evenly and in ascending
// order, since cuBLASLt reads and writes elsewhere when a stride is negative.
inline int64_t batch_stride(const LinearParams& params) {
  const auto address = [&](int i) { return reinterpret_cast<uintptr_t>(params.out[i]); };
  const auto stride = static_cast<int64_t>(address(1) - address(0));
  if (stride <= 0 || stride > kMostBatchStride || stride % element_bytes(params.out_dtype) != 0) return 0;
  for (int i = 2; i < params.outputs; ++i) {
    if (static_cast<int64_t>(address(i) - address(i - 1)) != stride) return 0;
  }
  return stride;
}

}  // namespace selective_scan
