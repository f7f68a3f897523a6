#include "host_integers.cuh"

#include <algorithm>

namespace selective_scan {
namespace {

constexpr int kIntegersPerStore = 900;  // kernel parameters may take 4096 bytes

struct IntegerChunk {
  int32_t values[kIntegersPerStore];
};

__global__ void store_integers(const __grid_constant__ IntegerChunk chunk, int32_t* target, int count) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) target[i] = chunk.values[i];
}

}  // namespace

cudaError_t send_integers(const int32_t* source, int64_t count, int32_t* target, cudaStream_t stream) {
  for (int64_t done = 0; done < count; done += kIntegersPerStore) {
    const int part = static_cast<int>(std::min<int64_t>(count - done, kIntegersPerStore));
    IntegerChunk chunk;
    std::copy_n(source + done, part, chunk.values);
    store_integers<<<1, 256, 0, stream>>>(chunk, target + done, part);
    const cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace selective_scan
