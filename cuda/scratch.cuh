// Device memory of one call, released in the order of the stream when the call has been enqueued.
#pragma once

#include <vector>

#include "host_integers.cuh"
#include "queue.cuh"
#include "status.cuh"

namespace selective_scan {

class Scratch {
 public:
  explicit Scratch(CudaQueue* queue) : queue_(queue) {}
  ~Scratch() {
    for (void* memory : held_) release(queue_, memory);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <typename T>
  Status take(int64_t count, T** memory) {
    held_.reserve(held_.size() + 1);
    void* taken = nullptr;
    const Status status = allocate(queue_, count * sizeof(T), &taken);
    if (status.ok()) held_.push_back(taken);
    *memory = static_cast<T*>(taken);
    return status;
  }

  // A copy of integers of the host, which are `what`.
  Status take_copy(const int32_t* source, int64_t count, const char* what, const int32_t** memory) {
    int32_t* target = nullptr;
    const Status status = take(count, &target);
    *memory = target;
    if (!status.ok()) return status;
    return check(queue_->device, send_integers(source, count, target, queue_->stream), what);
  }

 private:
  CudaQueue* const queue_;
  std::vector<void*> held_;
};

}  // namespace selective_scan
