#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_rms_norm(const Call& call, const RmsNormParams& params);

}  // namespace selective_scan
