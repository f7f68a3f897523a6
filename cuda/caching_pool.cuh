// A queue's device memory. A block that is released is kept for a later call of the same queue, which may have it at
// once: the stream runs what it was used for before what it is used for next. So a call whose sizes have been seen
// before asks CUDA for nothing. A block that other streams have used is kept from the moment they have passed the point
// of its release.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "../native/ops.h"
#include "driver_memory.cuh"
#include "size_classes.h"

namespace selective_scan {

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
  // The events, which become the pool's, are of streams that may still use the memory before them.
  void release_after(void* memory, std::vector<cudaEvent_t> events);

  // While a graph is captured, a block that is released serves later nodes of the same branch of the graph and nothing
  // else: its replays will use it again. Afterwards it is the graph's, to be released when the graph is.
  static constexpr int kNoBranch = -1;
  void begin_capture();
  void capture_branch(int branch);  // that is being captured; kNoBranch between calls
  std::vector<void*> end_capture();

  // Of all pools of the process, in bytes of whole blocks.
  static Status use_of(int device, MemoryUse* use);
  // Gives what is kept back to the device; waits for the streams.
  static void empty_all(int device);

 private:
  struct Totals;
  struct Block {
    void* memory;
    size_t bytes;
    int size_class;
    Block* next;  // of the same class, where the block is kept
    int branch;   // of the capture that it was released in
  };

  // Waits for events that are still to come.
  struct Pending {
    void* memory;
    std::vector<cudaEvent_t> events;
  };

  CachingPool(int device, cudaStream_t stream);
  static Totals& totals_of(int device);
  void empty();
  MemoryUse use() const;
  Status count_cached(uint64_t* bytes);
  Status hand_out(void* memory, size_t bytes, int size_class);
  Status out_of_memory(size_t bytes) const;

  // With the mutex held.
  void settle_pending(bool wait);
  void keep(Block* block);
  bool take_captured(int size_class, void** memory);
  bool take_kept(int size_class, void** memory);
  void count_as_used(size_t bytes);
  void count_as_unused(size_t bytes);
  void give_back_until(size_t most);

  const int device_;
  DriverMemory driver_;
  size_t most_kept_ = 0;  // bytes

  Totals& totals_;  // of the device

  mutable std::mutex mutex_;
  std::unordered_map<void*, Block> blocks_;  // handed out or kept
  Block* kept_[kSizeClasses] = {};           // by size class, the last released first
  std::vector<Pending> pending_;
  bool captures_ = false;
  int branch_ = kNoBranch;
  std::vector<Block*> captured_;  // released in the capture that is going on
  MemoryUse use_;
};

}  // namespace selective_scan
