#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_selective_scan(const Call& call, const SelectiveScanParams& params);

}  // namespace selective_scan
