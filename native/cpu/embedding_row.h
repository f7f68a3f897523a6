// What the op asks of a kernel, so that kernels built for different vector sets share nothing with each other but this.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace selective_scan {

struct EmbeddingKernel {
  // `count` numbers of one floating point type as those of another, rounded to nearest even.
  void (*convert)(DType from_type, const void* from, DType to_type, void* to, int64_t count);
};

// One for each vector set; those not of the target's architecture are not built.
const EmbeddingKernel& embedding_avx512();
const EmbeddingKernel& embedding_avx2();
const EmbeddingKernel& embedding_neon();
const EmbeddingKernel& embedding_portable();

}  // namespace selective_scan
