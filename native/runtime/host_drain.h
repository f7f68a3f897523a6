// Fetches results through pinned slots into host arrays, on several threads, for one call.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "host_chunks.h"
#include "host_link.h"

namespace selective_scan {

class HostDrain {
 public:
  // `done` counts what has arrived, and may be null.
  HostDrain(const HostLink& link, HostArrays arrays, std::atomic<int64_t>* done);
  ~HostDrain();
  HostDrain(const HostDrain&) = delete;
  HostDrain& operator=(const HostDrain&) = delete;

  // Before the first chunk, of about so many; `others` are the threads at work elsewhere in the call.
  Status begin(size_t chunks, size_t others);
  // Enqueues a chunk's download from `source`, where its image lies on the device, when there is a slot for it. With it
  // so many elements are done.
  Status put(const Chunk& chunk, const char* source, int64_t elements);
  // Waits until all that was put is in the host's arrays.
  Status finish();

 private:
  struct Arriving {
    Chunk chunk;
    void* mark;
    int64_t elements;
  };

  void scatter_on_thread();
  Status await_arrival(void* mark);

  const HostLink& link_;
  const HostArrays arrays_;
  std::atomic<int64_t>* const done_;

  std::mutex waiting_;
  std::mutex mutex_;
  std::condition_variable arriving_;
  std::condition_variable emptied_;
  std::vector<Arriving> slots_ = std::vector<Arriving>(HostLink::kDownloadSlots);
  std::vector<size_t> emptied_of_;  // one more than the chunk that was last taken out of each slot
  size_t put_ = 0;
  size_t next_ = 0;   // the chunk to be taken out next
  size_t taken_ = 0;  // chunks that are where they belong
  bool has_ended_ = false;
  Status status_;  // the first failure
  std::vector<std::thread> threads_;
};

}  // namespace selective_scan
