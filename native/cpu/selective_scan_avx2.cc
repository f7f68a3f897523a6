#include "simd_avx2.h"
#include "selective_scan_kernel.h"

namespace selective_scan {

const ScanKernel& selective_scan_avx2() { return kScanKernel; }

}  // namespace selective_scan
