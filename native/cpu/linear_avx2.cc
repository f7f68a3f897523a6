#include "simd_avx2.h"
#include "linear_kernel.h"

namespace selective_scan {

const LinearKernel& linear_avx2() { return kLinearKernel; }

}  // namespace selective_scan
