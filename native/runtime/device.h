// Which backend serves which device.
#pragma once

#include "../ops.h"

namespace selective_scan {

// Devices are numbered as in the public API: the CPU is -1, 'cuda:N' is N.
constexpr int kCpuDevice = -1;

// The GPUs this process sees. None: the status says why.
Status count_gpus(int* gpus);

// The backend of a device, whether there is such a device or not; null if this build has none for its kind.
const Backend* backend_of(int device);

// The backend of a device and the device's number within it; an error if there is no such device.
Status find_device(int device, const Backend** backend, int* index);

}  // namespace selective_scan
