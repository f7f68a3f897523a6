// The linear layer on a queue: enqueued, never waited for.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status linear(const Call& call, const LinearParams& params);

}  // namespace selective_scan
