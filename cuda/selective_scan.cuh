// The selective scan on a queue: enqueued, never waited for.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status selective_scan(const Call& call, const SelectiveScanParams& params);

}  // namespace selective_scan
