// A queue's device memory. A block that is released is kept for a later call of the same queue, which may have it at
// once: the stream runs what it was used for before what it is used for next. So a call whose sizes have been seen
// before asks CUDA for nothing.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "../native/ops.h"
#include "size_classes.h"

namespace selective_scan {

// In bytes of whole blocks.
struct MemoryUse {
  size_t used = 0;    // handed out
  size_t cached = 0;  // kept for later calls
  size_t peak = 0;    // the most that was ever handed out
};

class CachingPool {
 public:
  // For a stream of `device`, which is the thread's current one.
  static Status open(int device, cudaStream_t stream, std::unique_ptr<CachingPool>* pool);
  // Nothing may be handed out any more.
  ~CachingPool();
  CachingPool(const CachingPool&) = delete;
  CachingPool& operator=(const CachingPool&) = delete;

  // Both from any thread, and in the order in which their users enqueue work.
  Status allocate(size_t bytes, void** memory);
  void release(void* memory);

  // Gives what is kept back to the device; waits for the stream.
  void empty();

  MemoryUse use() const;

 private:
  struct Block {
    void* memory;
    size_t bytes;
    int size_class;
    Block* next;  // of the same class, where the block is kept
  };

  CachingPool(int device, cudaStream_t stream);
  static void empty_all(int device);
  bool take_kept(int size_class, void** memory);
  Status hand_out(void* memory, size_t bytes, int size_class);
  Status out_of_memory(size_t bytes) const;
  void count_as_used(size_t bytes);
  void give_back_until(size_t most);
  cudaError_t obtain(size_t bytes, void** memory) const;
  void give_back(void* memory) const;

  const int device_;
  const cudaStream_t stream_;
  cudaMemPool_t driver_pool_ = nullptr;  // null where the device has no memory pools
  size_t most_kept_ = 0;                 // bytes

  mutable std::mutex mutex_;
  std::unordered_map<void*, Block> blocks_;  // handed out or kept
  Block* kept_[kSizeClasses] = {};           // by size class, the last released first
  MemoryUse use_;
};

}  // namespace selective_scan
