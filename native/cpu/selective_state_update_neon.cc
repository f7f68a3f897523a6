#include "simd_neon.h"
#include "selective_state_update_kernel.h"

namespace selective_scan {

const StateUpdateKernel& selective_state_update_neon() { return kStateUpdateKernel; }

}  // namespace selective_scan
