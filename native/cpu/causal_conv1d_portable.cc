#include "simd_portable.h"
#include "causal_conv1d_kernel.h"

namespace selective_scan {

const ConvKernel& causal_conv1d_portable() { return kConvKernel; }

}  // namespace selective_scan
