// A queue is a stream of one device with memory of its own.
#pragma once

#include <cuda_runtime.h>

#include <memory>

#include "../native/ops.h"
#include "caching_pool.cuh"
#include "selective_scan_variant.h"

namespace selective_scan {

class Capture;

struct CudaQueue {
  int device = 0;
  DeviceShape shape;
  cudaStream_t stream = nullptr;      // where ops go: the queue's own, or one of a capture
  cudaStream_t own_stream = nullptr;  // where everything else goes
  std::unique_ptr<CachingPool> memory;
  std::shared_ptr<Capture> capture;  // that is going on
};

Status open_queue(int device, void** queue);
void close_queue(void* queue);
Status allocate(void* queue, size_t bytes, void** memory);
void release(void* queue, void* memory);
Status upload(void* queue, void* target, const void* source, size_t bytes);
Status download(void* queue, void* target, const void* source, size_t bytes);
Status copy(void* queue, void* target, const void* source, size_t bytes);
Status mark(void* queue, void** mark);
Status order_after(void* queue, void* mark);
void unmark(void* queue, void* mark);
void release_after(void* queue, void* memory, void* const* marks, size_t count);
Status memory_use(int device, MemoryUse* use);
Status empty_cache(int device);
Status wait(void* queue, void* mark);

}  // namespace selective_scan
