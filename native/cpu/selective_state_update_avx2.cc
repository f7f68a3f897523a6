#include "simd_avx2.h"
#include "selective_state_update_kernel.h"

namespace selective_scan {

const StateUpdateKernel& selective_state_update_avx2() { return kStateUpdateKernel; }

}  // namespace selective_scan
