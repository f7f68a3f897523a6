// Kernels of a few microseconds that may be launched before the one ahead of them has ended (programmatic dependent
// launch): their blocks start as soon as the multiprocessors have room, and wait until all that was written before is
// visible.
#pragma once

#include <cuda_runtime.h>

#include "queue.cuh"

namespace selective_scan {

// What such a kernel does before it reads what others have written, or writes.
__device__ __forceinline__ void wait_for_earlier_kernels() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Launches a kernel that waits by itself for those before it.
template <typename Args>
cudaError_t launch_early(void (*kernel)(Args), dim3 grid, unsigned threads, const CudaQueue& queue, const Args& args) {
  int major = 0;
  const cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, queue.device);
  if (error != cudaSuccess) return error;
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim.x = threads;
  config.stream = queue.stream;
  config.attrs = &early;
  config.numAttrs = major >= 9 ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, args);
}

}  // namespace selective_scan
