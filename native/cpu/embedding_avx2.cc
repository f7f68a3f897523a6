#include "simd_avx2.h"
#include "embedding_kernel.h"

namespace selective_scan {

const EmbeddingKernel& embedding_avx2() { return kEmbeddingKernel; }

}  // namespace selective_scan
