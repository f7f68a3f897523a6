#pragma once

#include "../native/ops.h"

namespace selective_scan {

// The op of the backend's table.
Status mamba_layer_step(const Call& call, const MambaLayerStepParams& params);

}  // namespace selective_scan
