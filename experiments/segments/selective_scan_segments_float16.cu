#include "selective_scan_segments_variants.cuh"

namespace selective_scan {

template cudaError_t launch_segments<__half>(SegmentsArgs, unsigned, int, cudaStream_t);

}  // namespace selective_scan
