#include "roofs.cuh"

#include <algorithm>
#include <vector>

#include "queue.cuh"
#include "scan_math.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

constexpr int kRepeats = 15;
constexpr int kChains = 8;  // independent exponentials a thread, which hides their latency
constexpr int kRounds = 2048;
constexpr int kThreads = 256;
constexpr int kBlocksPerMultiprocessor = 8;

__global__ void exponentials(float start, float* sink) {
  float values[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) values[i] = start * static_cast<float>(threadIdx.x + i);
  for (int round = 0; round < kRounds; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) values[i] = exp2_approx(values[i]);
  }
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum += values[i];
  // Never true, but the compiler cannot know it, so the loop above has a result.
  if (sum == -1.0f) *sink = sum;
}

// The median seconds of `run`, which enqueues its work on the stream.
template <typename Run>
Status median_seconds(const CudaQueue& queue, double* seconds, Run run) {
  cudaEvent_t before = nullptr;
  cudaEvent_t after = nullptr;
  std::vector<float> times;
  cudaError_t error = cudaEventCreate(&before);
  if (error == cudaSuccess) error = cudaEventCreate(&after);
  for (int i = 0; i < kRepeats + 2 && error == cudaSuccess; ++i) {
    error = cudaEventRecord(before, queue.stream);
    if (error == cudaSuccess) error = run();
    if (error == cudaSuccess) error = cudaEventRecord(after, queue.stream);
    if (error == cudaSuccess) error = cudaEventSynchronize(after);
    float milliseconds = 0;
    if (error == cudaSuccess) error = cudaEventElapsedTime(&milliseconds, before, after);
    if (i >= 2) times.push_back(milliseconds);  // the first two warm up
  }
  if (before != nullptr) cudaEventDestroy(before);
  if (after != nullptr) cudaEventDestroy(after);
  if (error != cudaSuccess) return check(queue.device, error, "measuring a ceiling");
  std::nth_element(times.begin(), times.begin() + kRepeats / 2, times.end());
  *seconds = times[kRepeats / 2] * 1e-3;
  return {};
}

Status measure_copy(CudaQueue& queue, const cudaDeviceProp& device, Roofs* roofs) {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  Status status = check(queue.device, cudaMemGetInfo(&free_bytes, &total_bytes), "asking for free memory");
  if (!status.ok()) return status;
  // Each of the two buffers is many times the cache, but at most an eighth of what is free.
  size_t bytes = std::min<size_t>(std::max<size_t>(32 * static_cast<size_t>(device.l2CacheSize), size_t{64} << 20),
                                  free_bytes / 8);
  bytes = std::max<size_t>(bytes & ~size_t{255}, 256);
  void* source = nullptr;
  void* target = nullptr;
  status = allocate(&queue, bytes, &source);
  if (status.ok()) status = allocate(&queue, bytes, &target);
  double seconds = 0;
  if (status.ok()) {
    status = check(queue.device, cudaMemsetAsync(source, 0x5a, bytes, queue.stream), "filling memory");
  }
  if (status.ok()) {
    status = median_seconds(queue, &seconds, [&] {
      return cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, queue.stream);
    });
  }
  if (status.ok()) roofs->bytes_per_second = 2.0 * static_cast<double>(bytes) / seconds;
  release(&queue, target);
  release(&queue, source);
  return status;
}

Status measure_exponentials(CudaQueue& queue, const cudaDeviceProp& device, Roofs* roofs) {
  void* sink = nullptr;
  Status status = allocate(&queue, sizeof(float), &sink);
  if (!status.ok()) return status;
  const int blocks = device.multiProcessorCount * kBlocksPerMultiprocessor;
  double seconds = 0;
  status = median_seconds(queue, &seconds, [&] {
    exponentials<<<blocks, kThreads, 0, queue.stream>>>(-0.001f, static_cast<float*>(sink));
    return cudaGetLastError();
  });
  if (status.ok()) {
    roofs->exponentials_per_second = static_cast<double>(blocks) * kThreads * kRounds * kChains / seconds;
  }
  release(&queue, sink);
  return status;
}

}  // namespace

Status measure_roofs(void* queue, Roofs* roofs) {
  auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (!status.ok()) return status;
  cudaDeviceProp device;
  status = check(q.device, cudaGetDeviceProperties(&device, q.device), "asking for the device's properties");
  if (status.ok()) status = measure_copy(q, device, roofs);
  if (status.ok()) status = measure_exponentials(q, device, roofs);
  return status;
}

}  // namespace selective_scan
