// The sampling on a queue: enqueued, never waited for.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status sample(const Call& call, const SampleParams& params);

}  // namespace selective_scan
