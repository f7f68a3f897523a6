#include "simd_portable.h"
#include "selective_scan_kernel.h"

namespace selective_scan {

const ScanKernel& selective_scan_portable() { return kScanKernel; }

}  // namespace selective_scan
