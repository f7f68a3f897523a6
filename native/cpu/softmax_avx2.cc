#include "simd_avx2.h"
#include "softmax_kernel.h"

namespace selective_scan {

SoftmaxKernel softmax_avx2() { return softmax_rows; }

}  // namespace selective_scan
