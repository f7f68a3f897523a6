// What the op asks of a kernel, in plain data, so that kernels built for different vector sets share nothing with each
// other but this.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace selective_scan {

// Some adjacent rows.
using SoftmaxKernel = void (*)(const SoftmaxParams& params, int64_t first_row, int64_t rows);

// One for each vector set; those not of the target's architecture are not built.
SoftmaxKernel softmax_avx512();
SoftmaxKernel softmax_avx2();
SoftmaxKernel softmax_neon();
SoftmaxKernel softmax_portable();

}  // namespace selective_scan
