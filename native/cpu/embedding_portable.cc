#include "simd_portable.h"
#include "embedding_kernel.h"

namespace selective_scan {

const EmbeddingKernel& embedding_portable() { return kEmbeddingKernel; }

}  // namespace selective_scan
