// The ceilings of a device, measured.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status measure_roofs(void* queue, Roofs* roofs);

}  // namespace selective_scan
