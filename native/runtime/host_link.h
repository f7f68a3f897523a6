// What a device's link to the host is used with: a queue each for uploads, computing and downloads, and pinned slots
// that host arrays pass through. One a device and process, since the link is one as well; a call has it for itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "pinned_memory.h"
#include "queue.h"

namespace selective_scan {

class HostLink {
 public:
  static constexpr size_t kSlotBytes = size_t{2} << 20;
  static constexpr size_t kUploadSlots = 40;
  static constexpr size_t kDownloadSlots = 40;

  // A turn with a device's link, which waits for those before it; kAborted once the flag is up.
  class Turn {
   public:
    Turn() = default;
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // The device is the queue's.
    Status take(const Queue& queue, const std::atomic<bool>* cancelled);
    HostLink& link() const { return *link_; }

   private:
    HostLink* link_ = nullptr;
  };

  const Backend& backend() const { return backend_; }
  void* upload() const { return lanes_[0]; }
  void* compute() const { return lanes_[1]; }
  void* download() const { return lanes_[2]; }
  char* upload_slot(size_t i) const { return slots_->data() + i % kUploadSlots * kSlotBytes; }
  char* download_slot(size_t i) const { return slots_->data() + (kUploadSlots + i % kDownloadSlots) * kSlotBytes; }

  // Waits until all three queues are done.
  Status finish() const;

  // Frees the slots of a device's link unless a call has it. The next call allocates them again.
  static void release_slots(int device);

 private:
  explicit HostLink(const Backend& backend, int index) : backend_(backend), index_(index) {}
  static HostLink& of(const Queue& queue);
  static HostLink* find(int device);
  Status set_up();

  const Backend& backend_;
  const int index_;
  std::mutex mutex_;
  std::condition_variable released_;
  bool is_taken_ = false;
  std::vector<void*> lanes_;
  std::shared_ptr<PinnedMemory> slots_;
};

}  // namespace selective_scan
