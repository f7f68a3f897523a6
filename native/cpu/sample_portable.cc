#include "simd_portable.h"
#include "sample_kernel.h"

namespace selective_scan {

const SamplePasses& sample_portable() { return kSamplePasses; }

}  // namespace selective_scan
