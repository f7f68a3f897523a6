#include "simd_neon.h"
#include "selective_scan_kernel.h"

namespace selective_scan {

const ScanKernel& selective_scan_neon() { return kScanKernel; }

}  // namespace selective_scan
