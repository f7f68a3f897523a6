#include "device.h"

namespace selective_scan {

Status count_gpus(int* gpus) {
  *gpus = 0;
#ifdef SELECTIVE_SCAN_CUDA
  return cuda_backend().count(gpus);
#else
  return {Code::kDevice, "This build of selective-scan has no CUDA backend."};
#endif
}

Status find_device(int device, const Backend** backend, int* index) {
  if (device == kCpuDevice) {
    *backend = &cpu_backend();
    *index = 0;
    return {};
  }
  int gpus = 0;
  Status status = count_gpus(&gpus);
  if (!status.ok()) return status;
  if (device < 0 || device >= gpus) {
    return {Code::kDevice, "Expected a device from cuda:0 to cuda:" + std::to_string(gpus - 1) +
                               " but received cuda:" + std::to_string(device) + "."};
  }
#ifdef SELECTIVE_SCAN_CUDA
  *backend = &cuda_backend();
#endif
  *index = device;
  return {};
}

}  // namespace selective_scan
