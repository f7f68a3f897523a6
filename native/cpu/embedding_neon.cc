#include "simd_neon.h"
#include "embedding_kernel.h"

namespace selective_scan {

const EmbeddingKernel& embedding_neon() { return kEmbeddingKernel; }

}  // namespace selective_scan
