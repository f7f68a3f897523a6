#include "simd_avx512.h"
#include "rms_norm_kernel.h"

namespace selective_scan {

RmsNormKernel rms_norm_avx512() { return normalise_rows; }

}  // namespace selective_scan
