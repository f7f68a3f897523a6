#include "status.cuh"

#include <atomic>
#include <map>
#include <mutex>

namespace selective_scan {
namespace {

std::mutex lost_mutex;

// Whether any device was: every call asks, and nearly always this answers.
std::atomic<bool> any_lost{false};

// What happened first to each device that was lost.
std::map<int, std::string>& lost_devices() {
  static std::map<int, std::string> devices;
  return devices;
}

// After these the context of the process on the device is unusable.
bool is_sticky(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

Status lost(int device, const std::string& cause) {
  return {Code::kDeviceLost, "The device cuda:" + std::to_string(device) + " was lost: " + cause +
                                 ". Start a new process to use it again."};
}

}  // namespace

Status enter_device(int device) {
  if (any_lost.load(std::memory_order_acquire)) {
    const std::lock_guard<std::mutex> lock(lost_mutex);
    const auto found = lost_devices().find(device);
    if (found != lost_devices().end()) return lost(device, found->second);
  }
  return check(device, cudaSetDevice(device), "selecting the device");
}

Status check(int device, cudaError_t error, const char* action) {
  if (error == cudaSuccess) return {};
  const std::string cause =
      std::string(action) + " failed with " + cudaGetErrorName(error) + " (" + cudaGetErrorString(error) + ")";
  cudaGetLastError();
  if (is_sticky(error)) {
    const std::lock_guard<std::mutex> lock(lost_mutex);
    any_lost.store(true, std::memory_order_release);
    return lost(device, lost_devices().emplace(device, cause).first->second);
  }
  const std::string where = "On cuda:" + std::to_string(device) + " " + cause + ".";
  switch (error) {
    case cudaErrorMemoryAllocation:
      return {Code::kOutOfMemory, where};
    case cudaErrorNoKernelImageForDevice:
      return {Code::kUnsupported, "This build holds no code for the architecture of cuda:" + std::to_string(device) +
                                      "; build from source for it."};
    default:
      return {Code::kDevice, where};
  }
}

}  // namespace selective_scan
