#include "simd_avx512.h"
#include "causal_conv1d_kernel.h"

namespace selective_scan {

const ConvKernel& causal_conv1d_avx512() { return kConvKernel; }

}  // namespace selective_scan
