#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_causal_conv1d_update(const Call& call, const CausalConv1dUpdateParams& params);

}  // namespace selective_scan
