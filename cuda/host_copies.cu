#include "host_copies.cuh"

#include <cuda_runtime.h>

#include "queue.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

// Rows lie one after the other on the device, and a stride apart on the host.
Status enqueue_rows(void* queue, void* target, size_t target_pitch, const void* source, size_t source_pitch,
                    const HostRows& rows, cudaMemcpyKind kind) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  const Status status = enter_device(q.device);
  if (!status.ok() || rows.bytes * rows.count == 0) return status;
  const cudaError_t error = rows.count == 1 ? cudaMemcpyAsync(target, source, rows.bytes, kind, q.stream)
                                            : cudaMemcpy2DAsync(target, target_pitch, source, source_pitch, rows.bytes,
                                                                rows.count, kind, q.stream);
  return check(q.device, error, kind == cudaMemcpyHostToDevice ? "copying to the device" : "copying from the device");
}

}  // namespace

Status allocate_pinned(int device, size_t bytes, void** memory) {
  Status status = enter_device(device);
  if (!status.ok()) return status;
  // Portable: pinned for every device of the process, whichever allocates it.
  const cudaError_t error = cudaHostAlloc(memory, bytes, cudaHostAllocPortable);
  if (error != cudaErrorMemoryAllocation) return check(device, error, "allocating page-locked memory");
  cudaGetLastError();
  return {Code::kOutOfMemory, "Could not allocate " + std::to_string(bytes) + " bytes of page-locked memory."};
}

void release_pinned(void* memory) {
  cudaFreeHost(memory);
  // On a lost device it fails, and there is nobody to tell.
  cudaGetLastError();
}

Status enqueue_upload(void* queue, void* target, const void* source, const HostRows& rows) {
  return enqueue_rows(queue, target, rows.bytes, source, rows.stride, rows, cudaMemcpyHostToDevice);
}

Status enqueue_download(void* queue, void* target, const void* source, const HostRows& rows) {
  return enqueue_rows(queue, target, rows.stride, source, rows.bytes, rows, cudaMemcpyDeviceToHost);
}

Status follow(void* queue, void* mark) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  const auto event = static_cast<cudaEvent_t>(mark);
  Status status = enter_device(q.device);
  if (status.ok()) status = check(q.device, cudaStreamWaitEvent(q.stream, event), "waiting for another queue");
  // What waits for it keeps what it needs of it.
  cudaEventDestroy(event);
  return status;
}

}  // namespace selective_scan
