#pragma once

#include "../native/ops.h"

namespace selective_scan {

// The op of the backend's table.
Status causal_conv1d_update(const Call& call, const CausalConv1dUpdateParams& params);

}  // namespace selective_scan
