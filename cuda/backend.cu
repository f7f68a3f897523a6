// The CUDA backend's table, and what it says of the devices there are.
#include <cuda_runtime.h>

#include <cstdlib>

#include "../native/ops.h"
#include "causal_conv1d.cuh"
#include "causal_conv1d_update.cuh"
#include "cublas_lt.cuh"
#include "embedding.cuh"
#include "graph.cuh"
#include "host_copies.cuh"
#include "linear.cuh"
#include "mamba_layer_step.cuh"
#include "queue.cuh"
#include "rms_norm.cuh"
#include "roofs.cuh"
#include "sample.cuh"
#include "selective_scan.cuh"
#include "selective_scan_describe.cuh"
#include "selective_state_update.cuh"
#include "softmax.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

std::string version_name(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Status count_devices(int* devices) {
  *devices = 0;
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    cudaGetLastError();
    return {Code::kDevice, "No NVIDIA driver is installed."};
  }
  const cudaError_t error = cudaGetDeviceCount(devices);
  if (error == cudaSuccess && *devices > 0) return {};
  *devices = 0;
  cudaGetLastError();
  if (error == cudaErrorInsufficientDriver) {
    return {Code::kDevice, "The NVIDIA driver supports CUDA " + version_name(driver) +
                               " but this build needs a driver for CUDA " + version_name(CUDART_VERSION) +
                               " or newer."};
  }
  if (error == cudaErrorNoDevice || error == cudaSuccess) {
    const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
    if (visible == nullptr) return {Code::kDevice, "The NVIDIA driver is installed but finds no GPU."};
    return {Code::kDevice, "The NVIDIA driver shows no GPU: CUDA_VISIBLE_DEVICES is '" + std::string(visible) + "'."};
  }
  return {Code::kDevice, std::string("Counting the GPUs failed with ") + cudaGetErrorName(error) + " (" +
                             cudaGetErrorString(error) + ")."};
}

Status describe_device(int device, DeviceInfo* info) {
  cudaDeviceProp properties;
  Status status = check(device, cudaGetDeviceProperties(&properties, device), "asking for the device's properties");
  if (!status.ok()) return status;
  int driver = 0;
  status = check(device, cudaDriverGetVersion(&driver), "asking for the driver's version");
  if (!status.ok()) return status;
  info->name = properties.name;
  info->memory_bytes = properties.totalGlobalMem;
  info->compute_major = properties.major;
  info->compute_minor = properties.minor;
  info->driver = version_name(driver);
  return {};
}

}  // namespace

const Backend& cuda_backend() {
  static const Backend backend = {
      count_devices,
      describe_device,
      open_queue,
      close_queue,
      allocate,
      release,
      upload,
      download,
      copy,
      mark,
      wait,
      order_after,
      unmark,
      release_after,
      begin_capture,
      begin_call,
      end_call,
      end_capture,
      replay,
      drop_graph,
      memory_use,
      empty_cache,
      has_cublas_lt,
      allocate_pinned,
      release_pinned,
      enqueue_upload,
      enqueue_download,
      follow,
      measure_roofs,
      selective_scan,
      selective_state_update,
      causal_conv1d,
      causal_conv1d_update,
      embedding,
      linear,
      mamba_layer_step,
      rms_norm,
      sample,
      softmax,
      describe_scan,
  };
  return backend;
}

}  // namespace selective_scan
