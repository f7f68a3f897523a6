#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_linear(const Call& call, const LinearParams& params);

}  // namespace selective_scan
