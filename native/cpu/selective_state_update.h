#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_selective_state_update(const Call& call, const SelectiveStateUpdateParams& params);

}  // namespace selective_scan
