// A queue is a stream of one device with a memory pool of its own.
#pragma once

#include <cuda_runtime.h>

#include "../native/ops.h"

namespace selective_scan {

struct CudaQueue {
  int device = 0;
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;  // null where the device has no memory pools
};

Status open_queue(int device, void** queue);
void close_queue(void* queue);
Status allocate(void* queue, size_t bytes, void** memory);
void release(void* queue, void* memory);
Status upload(void* queue, void* target, const void* source, size_t bytes);
Status download(void* queue, void* target, const void* source, size_t bytes);
Status copy(void* queue, void* target, const void* source, size_t bytes);
Status mark(void* queue, void** mark);
Status wait(void* queue, void* mark);

}  // namespace selective_scan
