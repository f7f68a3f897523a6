#include "simd_neon.h"
#include "mamba_layer_step_kernel.h"

namespace selective_scan {

const LayerStepRows& mamba_layer_step_neon() { return kLayerStepRows; }

}  // namespace selective_scan
