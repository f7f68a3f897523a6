// The normalisation on a queue: enqueued, never waited for.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status rms_norm(const Call& call, const RmsNormParams& params);

}  // namespace selective_scan
