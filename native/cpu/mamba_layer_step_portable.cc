#include "simd_portable.h"
#include "mamba_layer_step_kernel.h"

namespace selective_scan {

const LayerStepRows& mamba_layer_step_portable() { return kLayerStepRows; }

}  // namespace selective_scan
