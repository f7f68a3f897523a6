#include "simd_avx512.h"
#include "linear_kernel.h"

namespace selective_scan {

const LinearKernel& linear_avx512() { return kLinearKernel; }

}  // namespace selective_scan
