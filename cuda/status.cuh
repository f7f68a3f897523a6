// CUDA errors as statuses, and the memory of devices that were lost.
#pragma once

#include <cuda_runtime.h>

#include "../native/ops.h"

namespace selective_scan {

// Makes `device` the current one of this thread. kDeviceLost, with the first cause, if the device was lost before.
Status enter_device(int device);

// Translates the result of a call. An error that spoils the device's context is kept and returned by every later
// enter_device; any other is cleared, so that it does not reappear in an unrelated call.
Status check(int device, cudaError_t error, const char* action);

}  // namespace selective_scan
