// A stream's memory from the driver: a pool of its own where the device has memory pools, so that allocating and
// freeing are steps of the stream; else plain allocations, which wait for it.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "../native/ops.h"

namespace selective_scan {

class DriverMemory {
 public:
  DriverMemory(int device, cudaStream_t stream) : device_(device), stream_(stream) {}
  // Everything has been given back.
  ~DriverMemory();
  DriverMemory(const DriverMemory&) = delete;
  DriverMemory& operator=(const DriverMemory&) = delete;

  // Once, before anything else; the device is the thread's current one.
  Status open();

  // For work that the stream is given from now on.
  cudaError_t obtain(size_t bytes, void** memory) const;
  // When the stream has done what it was given so far.
  void give_back(void* memory) const;
  // Waits for the stream, and returns to the device what has been given back.
  void trim() const;

  // What it has from the device, in bytes; 0 where the device has no memory pools.
  Status count_reserved(uint64_t* bytes) const;

 private:
  const int device_;
  const cudaStream_t stream_;
  cudaMemPool_t pool_ = nullptr;  // null where the device has no memory pools
};

}  // namespace selective_scan
