// What the op asks of a kernel, in plain data, so that kernels built for different vector sets share nothing with each
// other but this.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace selective_scan {

// Some adjacent rows.
using RmsNormKernel = void (*)(const RmsNormParams& params, int64_t first_row, int64_t rows);

// One for each vector set; those not of the target's architecture are not built.
RmsNormKernel rms_norm_avx512();
RmsNormKernel rms_norm_avx2();
RmsNormKernel rms_norm_neon();
RmsNormKernel rms_norm_portable();

}  // namespace selective_scan
