#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_softmax(const Call& call, const SoftmaxParams& params);

}  // namespace selective_scan
