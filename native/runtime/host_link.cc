#include "host_link.h"

#include <chrono>
#include <map>

namespace selective_scan {

namespace {

struct Links {
  std::mutex mutex;
  std::map<int, HostLink*> by_device;
};

// Never destroyed: a call may be on its way when the process ends.
Links& links() {
  static auto* const all = new Links;
  return *all;
}

}  // namespace

HostLink& HostLink::of(const Queue& queue) {
  const std::lock_guard<std::mutex> lock(links().mutex);
  HostLink*& link = links().by_device[queue.device()];
  if (link == nullptr) link = new HostLink(queue.backend(), queue.device() == kCpuDevice ? 0 : queue.device());
  return *link;
}

HostLink* HostLink::find(int device) {
  const std::lock_guard<std::mutex> lock(links().mutex);
  const auto found = links().by_device.find(device);
  return found == links().by_device.end() ? nullptr : found->second;
}

void HostLink::release_slots(int device) {
  HostLink* const link = find(device);
  if (link == nullptr) return;
  const std::lock_guard<std::mutex> lock(link->mutex_);
  if (!link->is_taken_) link->slots_.reset();
}

Status HostLink::set_up() {
  while (lanes_.size() < 3) {
    lanes_.reserve(3);
    void* lane = nullptr;
    const Status status = backend_.open(index_, &lane);
    if (!status.ok()) return status;
    lanes_.push_back(lane);
  }
  if (slots_) return {};
  return PinnedMemory::allocate(backend_, index_, (kUploadSlots + kDownloadSlots) * kSlotBytes, &slots_);
}

Status HostLink::finish() const {
  Status first;
  for (void* lane : lanes_) {
    void* mark = nullptr;
    Status status = backend_.mark(lane, &mark);
    if (status.ok()) status = backend_.wait(lane, mark);
    if (first.ok()) first = status;
  }
  return first;
}

HostLink::Turn::~Turn() {
  if (link_ == nullptr) return;
  const std::lock_guard<std::mutex> lock(link_->mutex_);
  link_->is_taken_ = false;
  link_->released_.notify_one();
}

Status HostLink::Turn::take(const Queue& queue, const std::atomic<bool>* cancelled) {
  HostLink& link = HostLink::of(queue);
  {
    std::unique_lock<std::mutex> lock(link.mutex_);
    // Nobody announces that a flag has gone up, so that it is looked at now and then.
    while (!link.released_.wait_for(lock, std::chrono::milliseconds(2), [&] { return !link.is_taken_; })) {
      if (cancelled != nullptr && cancelled->load()) return {Code::kAborted, "The operation was aborted."};
    }
    link.is_taken_ = true;
  }
  link_ = &link;
  return link.set_up();
}

}  // namespace selective_scan
