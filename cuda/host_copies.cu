#include "host_copies.cuh"

#include <cuda_runtime.h>

#include "queue.cuh"
#include "status.cuh"

namespace selective_scan {

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
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok() || rows.bytes * rows.count == 0) return status;
  const cudaError_t error = rows.count == 1
                                ? cudaMemcpyAsync(target, source, rows.bytes, cudaMemcpyHostToDevice, q.stream)
                                : cudaMemcpy2DAsync(target, rows.bytes, source, rows.stride, rows.bytes, rows.count,
                                                    cudaMemcpyHostToDevice, q.stream);
  return check(q.device, error, "copying to the device");
}

Status enqueue_download(void* queue, void* target, const void* source, const HostRows& rows) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok() || rows.bytes * rows.count == 0) return status;
  const cudaError_t error = rows.count == 1
                                ? cudaMemcpyAsync(target, source, rows.bytes, cudaMemcpyDeviceToHost, q.stream)
                                : cudaMemcpy2DAsync(target, rows.stride, source, rows.bytes, rows.bytes, rows.count,
                                                    cudaMemcpyDeviceToHost, q.stream);
  return check(q.device, error, "copying from the device");
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
