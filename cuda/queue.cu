#include "queue.cuh"

#include <memory>
#include <utility>
#include <vector>

#include "status.cuh"

namespace selective_scan {
namespace {

void destroy(CudaQueue* queue) {
  if (queue->own_stream == nullptr) return;
  cudaStreamSynchronize(queue->own_stream);
  queue->memory = nullptr;
  cudaStreamDestroy(queue->own_stream);
  cudaGetLastError();
}

// Stands for all kernels where it is asked which code of the binary a device runs.
__global__ void any_kernel() {}

// The code is not always that of the device's own compute capability: 8.0's serves 8.6 and 8.9, PTX whatever is newer.
// Which kernels there are, and what they do by themselves, was decided for the one that it was compiled for.
Status find_shape(int device, DeviceShape* shape) {
  int shared_bytes = 0;
  cudaFuncAttributes code = {};
  Status status = check(device, cudaDeviceGetAttribute(&shape->multiprocessors, cudaDevAttrMultiProcessorCount, device),
                        "asking for its size");
  if (!status.ok()) return status;
  status = check(device, cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
                 "asking for its shared memory");
  if (!status.ok()) return status;
  status = check(device, cudaFuncGetAttributes(&code, any_kernel), "looking for its code");
  shape->shared_bytes = shared_bytes - kStaticSharedBytes;
  shape->capability = code.ptxVersion;
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
  status = check(device, cudaStreamCreateWithFlags(&opened->own_stream, cudaStreamNonBlocking), "creating a stream");
  if (status.ok()) status = CachingPool::open(device, opened->own_stream, &opened->memory);
  if (!status.ok()) {
    destroy(opened.get());
    return status;
  }
  opened->stream = opened->own_stream;
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
  status = check(q.device, cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, q.own_stream),
                 "copying to the device");
  if (!status.ok()) return status;
  return check(q.device, cudaStreamSynchronize(q.own_stream), "copying to the device");
}

Status download(void* queue, void* target, const void* source, size_t bytes) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok() || bytes == 0) return status;
  status = check(q.device, cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, q.own_stream),
                 "copying from the device");
  if (!status.ok()) return status;
  return check(q.device, cudaStreamSynchronize(q.own_stream), "running the work before a copy from the device");
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
  status = check(q.device, cudaEventRecord(event, q.own_stream), "recording an event");
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

Status order_after(void* queue, void* mark) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok()) return status;
  return check(q.device, cudaStreamWaitEvent(q.own_stream, static_cast<cudaEvent_t>(mark), 0), "waiting for an event");
}

void unmark(void*, void* mark) {
  cudaEventDestroy(static_cast<cudaEvent_t>(mark));
  cudaGetLastError();
}

void release_after(void* queue, void* memory, void* const* marks, size_t count) {
  std::vector<cudaEvent_t> events;
  for (size_t i = 0; i < count; ++i) events.push_back(static_cast<cudaEvent_t>(marks[i]));
  static_cast<CudaQueue*>(queue)->memory->release_after(memory, std::move(events));
}

Status memory_use(int device, MemoryUse* use) {
  const Status status = enter_device(device);
  return status.ok() ? CachingPool::use_of(device, use) : status;
}

Status empty_cache(int device) {
  const Status status = enter_device(device);
  if (status.ok()) CachingPool::empty_all(device);
  return status;
}

}  // namespace selective_scan
