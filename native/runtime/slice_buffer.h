// Device memory that slices have one after the other.
#pragma once

#include "../ops.h"

namespace selective_scan {

class SliceBuffer {
 public:
  SliceBuffer() = default;
  // Nothing that was enqueued may use the memory any more.
  ~SliceBuffer();
  SliceBuffer(const SliceBuffer&) = delete;
  SliceBuffer& operator=(const SliceBuffer&) = delete;

  // In the order of that queue, in which it is also released.
  Status allocate(const Backend& backend, void* queue, size_t bytes);
  char* memory() const { return memory_; }

  // The slice that has the memory needs it for what that queue has been given so far.
  Status mark_use(void* queue);
  // What that queue is given from now on runs when the slice before does not need the memory any more.
  Status await_free(void* queue);

 private:
  const Backend* backend_ = nullptr;
  void* queue_ = nullptr;
  char* memory_ = nullptr;
  void* mark_ = nullptr;
  bool is_marked_ = false;
};

}  // namespace selective_scan
