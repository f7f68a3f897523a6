#include "simd_neon.h"
#include "sample_kernel.h"

namespace selective_scan {

const SamplePasses& sample_neon() { return kSamplePasses; }

}  // namespace selective_scan
