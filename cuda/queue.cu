#include "queue.cuh"

#include <cstdint>
#include <memory>

#include "status.cuh"

namespace selective_scan {
namespace {

Status create_pool(CudaQueue* queue) {
  int supported = 0;
  Status status =
      check(queue->device, cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, queue->device),
            "asking for memory pools");
  if (!status.ok() || !supported) return status;
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = queue->device;
  status = check(queue->device, cudaMemPoolCreate(&queue->pool, &properties), "creating a memory pool");
  if (!status.ok()) return status;
  // By default a pool gives its memory back at every synchronisation, which makes the next allocation slow.
  uint64_t threshold = UINT64_MAX;
  return check(queue->device, cudaMemPoolSetAttribute(queue->pool, cudaMemPoolAttrReleaseThreshold, &threshold),
               "setting up a memory pool");
}

void destroy(CudaQueue* queue) {
  if (queue->stream != nullptr) {
    cudaStreamSynchronize(queue->stream);
    cudaStreamDestroy(queue->stream);
  }
  if (queue->pool != nullptr) cudaMemPoolDestroy(queue->pool);
  cudaGetLastError();
}

cudaError_t try_allocate(const CudaQueue& queue, size_t bytes, void** memory) {
  if (queue.pool != nullptr) return cudaMallocFromPoolAsync(memory, bytes, queue.pool, queue.stream);
  return cudaMalloc(memory, bytes);
}

// Memory that was released but not yet given back to the device, for lack of a synchronisation or by the pool's
// threshold.
void reclaim(const CudaQueue& queue) {
  cudaStreamSynchronize(queue.stream);
  if (queue.pool != nullptr) cudaMemPoolTrimTo(queue.pool, 0);
}

}  // namespace

Status open_queue(int device, void** queue) {
  Status status = enter_device(device);
  if (!status.ok()) return status;
  auto opened = std::make_unique<CudaQueue>();
  opened->device = device;
  status = check(device, cudaStreamCreateWithFlags(&opened->stream, cudaStreamNonBlocking), "creating a stream");
  if (status.ok()) status = create_pool(opened.get());
  if (!status.ok()) {
    destroy(opened.get());
    return status;
  }
  *queue = opened.release();
  return {};
}

void close_queue(void* queue) {
  const std::unique_ptr<CudaQueue> closed(static_cast<CudaQueue*>(queue));
  // Also on a lost device: the calls then fail, and their errors have nobody to go to.
  cudaSetDevice(closed->device);
  destroy(closed.get());
}

Status allocate(void* queue, size_t bytes, void** memory) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok()) return status;
  // An empty allocation is a valid one, with an address of its own.
  if (bytes == 0) bytes = 1;
  cudaError_t error = try_allocate(q, bytes, memory);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    reclaim(q);
    error = try_allocate(q, bytes, memory);
  }
  if (error != cudaErrorMemoryAllocation) return check(q.device, error, "allocating memory");
  cudaGetLastError();
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  status = check(q.device, cudaMemGetInfo(&free_bytes, &total_bytes), "asking for free memory");
  if (!status.ok()) return status;
  return {Code::kOutOfMemory, "Expected to allocate " + std::to_string(bytes) +
                                  " bytes on cuda:" + std::to_string(q.device) + " but " + std::to_string(free_bytes) +
                                  " of " + std::to_string(total_bytes) + " are free."};
}

void release(void* queue, void* memory) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  // On a lost device there is nothing left to free.
  if (memory == nullptr || !enter_device(q.device).ok()) return;
  if (q.pool != nullptr) {
    check(q.device, cudaFreeAsync(memory, q.stream), "releasing memory");
    return;
  }
  cudaStreamSynchronize(q.stream);
  check(q.device, cudaFree(memory), "releasing memory");
}

Status upload(void* queue, void* target, const void* source, size_t bytes) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok() || bytes == 0) return status;
  status = check(q.device, cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, q.stream),
                 "copying to the device");
  if (!status.ok()) return status;
  return check(q.device, cudaStreamSynchronize(q.stream), "copying to the device");
}

Status download(void* queue, void* target, const void* source, size_t bytes) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok() || bytes == 0) return status;
  status = check(q.device, cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, q.stream),
                 "copying from the device");
  if (!status.ok()) return status;
  return check(q.device, cudaStreamSynchronize(q.stream), "running the work before a copy from the device");
}

Status copy(void* queue, void* target, const void* source, size_t bytes) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok() || bytes == 0) return status;
  return check(q.device, cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, q.stream),
               "copying on the device");
}

Status mark(void* queue, void** mark) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok()) return status;
  cudaEvent_t event;
  // Blocking: the waiting thread sleeps instead of spinning.
  status = check(q.device, cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync),
                 "creating an event");
  if (!status.ok()) return status;
  status = check(q.device, cudaEventRecord(event, q.stream), "recording an event");
  if (!status.ok()) {
    cudaEventDestroy(event);
    return status;
  }
  *mark = event;
  return {};
}

Status wait(void* queue, void* mark) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  const auto event = static_cast<cudaEvent_t>(mark);
  Status status = enter_device(q.device);
  if (status.ok()) status = check(q.device, cudaEventSynchronize(event), "running enqueued work");
  cudaEventDestroy(event);
  return status;
}

}  // namespace selective_scan
