#include "simd_avx512.h"
#include "selective_scan_kernel.h"

namespace selective_scan {

const ScanKernel& selective_scan_avx512() { return kScanKernel; }

}  // namespace selective_scan
