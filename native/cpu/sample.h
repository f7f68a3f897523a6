#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_sample(const Call& call, const SampleParams& params);

}  // namespace selective_scan
