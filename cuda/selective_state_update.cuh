// The state update on a queue: enqueued, never waited for.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status selective_state_update(const Call& call, const SelectiveStateUpdateParams& params);

}  // namespace selective_scan
