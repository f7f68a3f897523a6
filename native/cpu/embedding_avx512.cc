#include "simd_avx512.h"
#include "embedding_kernel.h"

namespace selective_scan {

const EmbeddingKernel& embedding_avx512() { return kEmbeddingKernel; }

}  // namespace selective_scan
