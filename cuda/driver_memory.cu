#include "driver_memory.cuh"

#include "status.cuh"

namespace selective_scan {

DriverMemory::~DriverMemory() {
  if (pool_ != nullptr) cudaMemPoolDestroy(pool_);
  cudaGetLastError();
}

Status DriverMemory::open() {
  int has_pools = 0;
  Status status = check(device_, cudaDeviceGetAttribute(&has_pools, cudaDevAttrMemoryPoolsSupported, device_),
                        "asking for memory pools");
  if (!status.ok() || !has_pools) return status;
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device_;
  status = check(device_, cudaMemPoolCreate(&pool_, &properties), "creating a memory pool");
  if (!status.ok()) return status;
  // By default a pool gives its memory back at every synchronisation, which makes the next allocation slow.
  uint64_t threshold = UINT64_MAX;
  return check(device_, cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &threshold),
               "setting up a memory pool");
}

cudaError_t DriverMemory::obtain(size_t bytes, void** memory) const {
  if (pool_ != nullptr) return cudaMallocFromPoolAsync(memory, bytes, pool_, stream_);
  return cudaMalloc(memory, bytes);
}

void DriverMemory::give_back(void* memory) const {
  // On a lost device there is nothing left to free.
  if (!enter_device(device_).ok()) return;
  if (pool_ != nullptr) {
    check(device_, cudaFreeAsync(memory, stream_), "releasing memory");
    return;
  }
  check(device_, cudaStreamSynchronize(stream_), "running the work that uses memory");
  check(device_, cudaFree(memory), "releasing memory");
}

void DriverMemory::trim() const {
  cudaStreamSynchronize(stream_);
  if (pool_ != nullptr) cudaMemPoolTrimTo(pool_, 0);
}

Status DriverMemory::count_reserved(uint64_t* bytes) const {
  *bytes = 0;
  if (pool_ == nullptr) return {};
  return check(device_, cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, bytes),
               "asking for the memory of a pool");
}

}  // namespace selective_scan
