#include "simd_neon.h"
#include "linear_kernel.h"

namespace selective_scan {

const LinearKernel& linear_neon() { return kLinearKernel; }

}  // namespace selective_scan
