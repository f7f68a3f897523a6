#include "simd_portable.h"
#include "linear_kernel.h"

namespace selective_scan {

const LinearKernel& linear_portable() { return kLinearKernel; }

}  // namespace selective_scan
