#include "simd_avx512.h"
#include "sample_kernel.h"

namespace selective_scan {

const SamplePasses& sample_avx512() { return kSamplePasses; }

}  // namespace selective_scan
