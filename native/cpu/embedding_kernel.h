// A row in another type. Included once for each vector set, after the header that defines its Vec.
#pragma once

#include "embedding_row.h"
#include "simd_lanes.h"

namespace selective_scan {
namespace {

template <class From>
void convert_from(const From* from, DType to_type, void* to, int64_t count) {
  switch (to_type) {
    case DType::kFloat16:
      return convert(from, static_cast<Float16*>(to), count);
    case DType::kBFloat16:
      return convert(from, static_cast<BFloat16*>(to), count);
    default:
      return convert(from, static_cast<float*>(to), count);
  }
}

inline void convert_row(DType from_type, const void* from, DType to_type, void* to, int64_t count) {
  switch (from_type) {
    case DType::kFloat16:
      return convert_from(static_cast<const Float16*>(from), to_type, to, count);
    case DType::kBFloat16:
      return convert_from(static_cast<const BFloat16*>(from), to_type, to, count);
    default:
      return convert_from(static_cast<const float*>(from), to_type, to, count);
  }
}

constexpr EmbeddingKernel kEmbeddingKernel = {convert_row};

}  // namespace
}  // namespace selective_scan
