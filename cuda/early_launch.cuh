// Kernels that may be launched before the one ahead of them has ended (programmatic dependent launch): their blocks
// start as soon as the multiprocessors have room for them, and wait by themselves until all that was written before is
// visible.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "dependent_launch.cuh"
#include "queue.cuh"

namespace selective_scan {

// Every thread of such a kernel calls it, before it reads or writes what another kernel may have touched.
__device__ __forceinline__ void wait_for_earlier_kernels() {
  let_next_kernel_come();
  await_earlier_kernels();
}

// Fetches into the second-level cache, which all multiprocessors share, so that it is allowed before the wait. Memory
// and bytes are multiples of 16.
__device__ __forceinline__ void prefetch(const void* memory, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(memory), "r"(bytes));
#endif
}

// Launches early where the device can.
template <typename Args>
cudaError_t launch_early(void (*kernel)(Args), dim3 grid, int threads, const CudaQueue& queue, const Args& args) {
  return launch_dependent(kernel, grid, static_cast<unsigned>(threads), 0, queue.shape.capability, queue.stream, args);
}

}  // namespace selective_scan
