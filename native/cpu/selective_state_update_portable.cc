#include "simd_portable.h"
#include "selective_state_update_kernel.h"

namespace selective_scan {

const StateUpdateKernel& selective_state_update_portable() { return kStateUpdateKernel; }

}  // namespace selective_scan
