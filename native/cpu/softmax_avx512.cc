#include "simd_avx512.h"
#include "softmax_kernel.h"

namespace selective_scan {

SoftmaxKernel softmax_avx512() { return softmax_rows; }

}  // namespace selective_scan
