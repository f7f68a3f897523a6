// Shared memory beyond what a kernel may take by default.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "selective_scan_variant.h"

namespace selective_scan {

// Asks for it once a device: kMost bytes, or as many as the device gives.
template <auto kKernel, int kMost>
cudaError_t allow_dynamic_memory() {
  static std::atomic<uint64_t> allowed{0};  // a bit a device
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  const uint64_t bit = uint64_t{1} << device % 64;
  if (error != cudaSuccess || (device < 64 && (allowed.load(std::memory_order_relaxed) & bit) != 0)) return error;
  int given = 0;
  error = cudaDeviceGetAttribute(&given, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error != cudaSuccess) return error;
  const int bytes = std::min(given - static_cast<int>(kStaticSharedBytes), kMost);
  error = cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (error == cudaSuccess) allowed.fetch_or(bit, std::memory_order_relaxed);
  return error;
}

}  // namespace selective_scan
