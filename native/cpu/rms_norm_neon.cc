#include "simd_neon.h"
#include "rms_norm_kernel.h"

namespace selective_scan {

RmsNormKernel rms_norm_neon() { return normalise_rows; }

}  // namespace selective_scan
