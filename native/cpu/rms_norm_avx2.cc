#include "simd_avx2.h"
#include "rms_norm_kernel.h"

namespace selective_scan {

RmsNormKernel rms_norm_avx2() { return normalise_rows; }

}  // namespace selective_scan
