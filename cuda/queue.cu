#include "queue.cuh"

#include <memory>

#include "status.cuh"

namespace selective_scan {
namespace {

void destroy(CudaQueue* queue) {
  if (queue->stream == nullptr) return;
  cudaStreamSynchronize(queue->stream);
  queue->memory = nullptr;
  cudaStreamDestroy(queue->stream);
  cudaGetLastError();
}

Status find_shape(int device, DeviceShape* shape) {
  int shared_bytes = 0;
  Status status = check(device, cudaDeviceGetAttribute(&shape->multiprocessors, cudaDevAttrMultiProcessorCount, device),
                        "asking for its size");
  if (!status.ok()) return status;
  status = check(device, cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
                 "asking for its shared memory");
  shape->shared_bytes = shared_bytes - kStaticSharedBytes;
  return status;
}

}  // namespace

Status open_queue(int device, void** queue) {
  Status status = enter_device(device);
  if (!status.ok()) return status;
  auto opened = std::make_unique<CudaQueue>();
  opened->device = device;
  status = find_shape(device, &opened->shape);
  if (!status.ok()) return status;
  status = check(device, cudaStreamCreateWithFlags(&opened->stream, cudaStreamNonBlocking), "creating a stream");
  if (status.ok()) status = CachingPool::open(device, opened->stream, &opened->memory);
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
  return static_cast<CudaQueue*>(queue)->memory->allocate(bytes, memory);
}

void release(void* queue, void* memory) {
  if (memory != nullptr) static_cast<CudaQueue*>(queue)->memory->release(memory);
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
