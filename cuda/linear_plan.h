// Which kernel computes a linear layer and how it is cut. Pure functions of the shape, so that a choice can be tested
// without a device.
#pragma once

#include <cstdint>

#include "../native/ops/linear.h"
#include "selective_scan_variant.h"

namespace selective_scan {

enum class LinearPath {
  kTensorRows,   // few rows, by tensor cores: the weights pass once, from memory to registers
  kVectorRows,   // few rows, by float32 arithmetic: any types, any alignment
  kLibrary,      // cuBLASLt
  kTensorTiles,  // many rows, by tensor cores
  kVectorTiles,  // many rows, by float32 arithmetic: any types, any alignment
};

// What a choice has to know beside the sizes.
struct LinearFacts {
  bool aligned = true;   // x and weight, and each of their rows, begin on a boundary of 16 bytes
  bool library = false;  // cuBLASLt may be used
};

struct LinearPlan {
  LinearPath path;
  // Of a block of the kernels for few rows: 2^slice_bits of its warps share a tile of outputs, each with a slice of
  // in_features. It does not depend on the rows, so that a row gives the same bits however many there are beside it.
  int slice_bits = 0;
  bool prefetches = false;  // kTensorRows: weights are fetched into the second-level cache while earlier kernels run
};

// How a kernel for few rows is cut, which measurements on an H100 gave.
struct RowsKernel {
  int64_t outputs;            // of a warp
  int64_t group;              // rows that pass with the weights once
  int64_t most_slice;         // of in_features, for a warp of blocks that are enough
  int64_t enough_blocks;      // a multiprocessor
  int64_t most_group_blocks;  // a multiprocessor, where there are several groups: beyond, tiles are faster
};

constexpr int kRowsWarps = 8;  // of a block
constexpr RowsKernel kTensorRows = {8, 16, 320, 2, 2};
constexpr RowsKernel kVectorRows = {4, 8, 640, 1, 4};

// Bytes of weights that the second-level cache has room for beside what is in use.
constexpr int64_t kMostPrefetched = 16 << 20;

constexpr int64_t blocks_of_outputs(const RowsKernel& kernel, int64_t out_features, int slice_bits) {
  const int64_t block_outputs = kernel.outputs * (kRowsWarps >> slice_bits);
  return (out_features + block_outputs - 1) / block_outputs;
}

// Warps share a tile where there would else be too few blocks, or where a warp would wait for loads several times. More
// sharing than that costs: 33 us instead of 27 for 50280 x 768 in bfloat16 with eight warps instead of four.
inline int slice_bits_of(const LinearParams& params, const RowsKernel& kernel, const DeviceShape& device) {
  const int64_t enough = kernel.enough_blocks * device.multiprocessors;
  int bits = 0;
  while ((2 << bits) <= kRowsWarps && ((params.in_features >> bits) > kernel.most_slice ||
                                       blocks_of_outputs(kernel, params.out_features, bits) < enough)) {
    ++bits;
  }
  return bits;
}

constexpr int64_t element_bytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

constexpr bool is_half_precision(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

inline bool fits_tensor_cores(const LinearParams& params, const LinearFacts& facts, const DeviceShape& device) {
  constexpr int64_t kMostInFeatures = 1 << 30;  // offsets in a row are 32 bits
  return device.capability >= 80 && facts.aligned && is_half_precision(params.dtype) &&
         params.dtype == params.weight_dtype && params.in_features <= kMostInFeatures;
}

// Whether cuBLASLt adds the bias before it rounds the result: seen to round first where rows of 16-bit results, or of
// what they are computed from, are not of whole vectors.
inline bool adds_bias_exactly(const LinearParams& params, const LinearFacts& facts) {
  if (params.bias_dtype != params.out_dtype) return false;
  if (params.out_dtype == DType::kFloat32) return true;
  if (!facts.aligned) return false;
  for (int i = 0; i < params.outputs; ++i) {
    if (params.sizes[i] % 8 != 0) return false;
  }
  return true;
}

// cuBLASLt has operands of one type, and results of that type or, of 16 bits, float32.
inline bool fits_library(const LinearParams& params, const LinearFacts& facts) {
  constexpr int64_t kMost = INT32_MAX;
  return facts.library && params.dtype == params.weight_dtype &&
         (params.out_dtype == params.dtype || params.out_dtype == DType::kFloat32) &&
         (params.bias == nullptr || adds_bias_exactly(params, facts)) && params.rows <= kMost &&
         params.in_features >= 1 && params.in_features <= kMost && params.out_features <= kMost;
}

// Of at least one row and output.
inline LinearPlan plan_linear(const LinearParams& params, const LinearFacts& facts, const DeviceShape& device) {
  const bool tensor = fits_tensor_cores(params, facts, device);
  const RowsKernel& kernel = tensor ? kTensorRows : kVectorRows;
  const int bits = slice_bits_of(params, kernel, device);
  // With several groups the weights pass several times, which costs nothing while multiprocessors have nothing else to
  // do.
  const int64_t groups = (params.rows + kernel.group - 1) / kernel.group;
  const int64_t blocks = blocks_of_outputs(kernel, params.out_features, bits);
  if (groups <= 1 || groups <= kernel.most_group_blocks * device.multiprocessors / blocks) {
    if (!tensor) return {LinearPath::kVectorRows, bits};
    const int64_t weight_bytes = 2 * params.in_features * params.out_features;
    return {LinearPath::kTensorRows, bits, weight_bytes > 0 && weight_bytes <= kMostPrefetched};
  }
  if (fits_library(params, facts)) return {LinearPath::kLibrary};
  return {tensor ? LinearPath::kTensorTiles : LinearPath::kVectorTiles};
}

}  // namespace selective_scan
