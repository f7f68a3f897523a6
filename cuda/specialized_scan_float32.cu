#include "specialized_scan_variants.cuh"

namespace selective_scan {

template cudaError_t launch_specialized_scan<float>(const ScanArgs&, const ScanPlan&, unsigned, cudaStream_t);

}  // namespace selective_scan
