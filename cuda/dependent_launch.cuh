// Kernels that start while the one before them still runs (programmatic dependent launch, from compute capability 9.0):
// their blocks come as soon as there is room for them, fetch what no kernel writes, and wait. Elsewhere the kernels run
// one after the other and all of this does nothing.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace selective_scan {

// Lets the next kernel come. It may then read before its own wait what was written before this kernel was launched.
__device__ __forceinline__ void let_next_kernel_come() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// Waits until all that was written before is visible.
__device__ __forceinline__ void await_earlier_kernels() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Waits, and only then lets the next kernel come. So a kernel, before it waits, already sees everything that was
// written before the one ahead of it was launched. It may hold such data from an earlier run in its first-level cache,
// which has to be read around (__ldcg).
__device__ __forceinline__ void follow_earlier_kernels() {
  await_earlier_kernels();
  let_next_kernel_come();
}

// Fetches the line that an address is in into the second-level cache, which all multiprocessors share, so that it is
// allowed before the wait whoever writes the memory.
__device__ __forceinline__ void prefetch_line(const void* address) {
#if __CUDA_ARCH__ >= 900
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
#endif
}

// Launches a kernel that follows the earlier ones by itself where the device can.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_dependent(void (*kernel)(Parameters...), dim3 grid, unsigned threads, size_t shared_bytes,
                             int capability, cudaStream_t stream, const Arguments&... arguments) {
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = capability >= 90 ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

}  // namespace selective_scan
