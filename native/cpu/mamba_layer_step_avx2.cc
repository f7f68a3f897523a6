#include "simd_avx2.h"
#include "mamba_layer_step_kernel.h"

namespace selective_scan {

const LayerStepRows& mamba_layer_step_avx2() { return kLayerStepRows; }

}  // namespace selective_scan
