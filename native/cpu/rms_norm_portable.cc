#include "simd_portable.h"
#include "rms_norm_kernel.h"

namespace selective_scan {

RmsNormKernel rms_norm_portable() { return normalise_rows; }

}  // namespace selective_scan
