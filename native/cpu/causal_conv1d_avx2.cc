#include "simd_avx2.h"
#include "causal_conv1d_kernel.h"

namespace selective_scan {

const ConvKernel& causal_conv1d_avx2() { return kConvKernel; }

}  // namespace selective_scan
