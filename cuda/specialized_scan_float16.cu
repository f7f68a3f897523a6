#include "specialized_scan_variants.cuh"

namespace selective_scan {

template cudaError_t launch_specialized_scan<__half>(const ScanArgs&, const ScanPlan&, unsigned, cudaStream_t);

}  // namespace selective_scan
