#include "simd_neon.h"
#include "causal_conv1d_kernel.h"

namespace selective_scan {

const ConvKernel& causal_conv1d_neon() { return kConvKernel; }

}  // namespace selective_scan
