#include "simd_avx512.h"
#include "selective_state_update_kernel.h"

namespace selective_scan {

const StateUpdateKernel& selective_state_update_avx512() { return kStateUpdateKernel; }

}  // namespace selective_scan
