// The softmax on a queue: enqueued, never waited for.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status softmax(const Call& call, const SoftmaxParams& params);

}  // namespace selective_scan
