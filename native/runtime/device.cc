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

const Backend* backend_of(int device) {
  if (device == kCpuDevice) return &cpu_backend();
#ifdef SELECTIVE_SCAN_CUDA
  return &cuda_backend();
#else
  return nullptr;
#endif
}

Status find_device(int device, const Backend** backend, int* index) {
  *backend = backend_of(device);
  if (device == kCpuDevice) {
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
  *index = device;
  return {};
}

}  // namespace selective_scan
