#include "simd_neon.h"
#include "softmax_kernel.h"

namespace selective_scan {

SoftmaxKernel softmax_neon() { return softmax_rows; }

}  // namespace selective_scan
