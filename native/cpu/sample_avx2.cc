#include "simd_avx2.h"
#include "sample_kernel.h"

namespace selective_scan {

const SamplePasses& sample_avx2() { return kSamplePasses; }

}  // namespace selective_scan
