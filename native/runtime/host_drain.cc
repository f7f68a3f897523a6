#include "host_drain.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace selective_scan {

namespace {

constexpr size_t kMostThreads = 16;

// The cores that do not fill slots, though there is less to copy: a result's pages are new, and writing to such takes
// long. But two, which the event loop and the queue's thread have for themselves: with all of them in use the event
// loop was once kept waiting for 15 ms.
size_t threads_for(size_t chunks, size_t others) {
  const size_t cores = std::thread::hardware_concurrency();
  const size_t taken = others + 2;
  return std::min({cores > taken ? cores - taken : 1, kMostThreads, chunks});
}

}  // namespace

HostDrain::HostDrain(const HostLink& link, HostArrays arrays, std::atomic<int64_t>* done)
    : link_(link), arrays_(std::move(arrays)), done_(done), emptied_of_(HostLink::kDownloadSlots) {}

Status HostDrain::begin(size_t chunks, size_t others) {
  try {
    while (threads_.size() < threads_for(chunks, others)) threads_.emplace_back(&HostDrain::scatter_on_thread, this);
  } catch (const std::system_error& error) {
    // The system grants no more: those that there are do the work.
    if (threads_.empty()) return {Code::kDevice, error.what()};
  }
  return {};
}

HostDrain::~HostDrain() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    has_ended_ = true;
    arriving_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

Status HostDrain::put(const Chunk& chunk, const char* source, int64_t elements) {
  std::unique_lock<std::mutex> lock(mutex_);
  const size_t i = put_;
  const size_t slot = i % HostLink::kDownloadSlots;
  const size_t before = i < HostLink::kDownloadSlots ? 0 : i - HostLink::kDownloadSlots + 1;
  emptied_.wait(lock, [&] { return emptied_of_[slot] == before; });
  if (!status_.ok()) return status_;
  lock.unlock();

  const Backend& backend = link_.backend();
  Arriving arriving{chunk, nullptr, elements};
  // Not what lies between the arrays, which nobody has written.
  Status status = chunk.image->for_each_covered(chunk.from, chunk.to, [&](size_t begin, size_t end) {
    char* const target = link_.download_slot(i) + (begin - chunk.from);
    return backend.enqueue_download(link_.download(), target, source + begin, {end - begin});
  });
  if (status.ok()) status = backend.mark(link_.download(), &arriving.mark);
  if (!status.ok()) return status;

  lock.lock();
  slots_[slot] = arriving;
  ++put_;
  arriving_.notify_one();
  return {};
}

Status HostDrain::finish() {
  std::unique_lock<std::mutex> lock(mutex_);
  emptied_.wait(lock, [this] { return taken_ == put_; });
  return status_;
}

void HostDrain::scatter_on_thread() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    arriving_.wait(lock, [this] { return has_ended_ || next_ < put_; });
    // Also at the end each mark is waited for, and freed with that.
    if (next_ == put_) return;
    const size_t i = next_++;
    const Arriving arrived = slots_[i % HostLink::kDownloadSlots];
    lock.unlock();
    const Status status = await_arrival(arrived.mark);
    if (status.ok()) {
      arrived.chunk.image->scatter(arrays_, arrived.chunk.from, arrived.chunk.to, link_.download_slot(i));
      if (done_ != nullptr) done_->fetch_add(arrived.elements, std::memory_order_relaxed);
    }
    lock.lock();
    if (status_.ok()) status_ = status;
    emptied_of_[i % HostLink::kDownloadSlots] = i + 1;
    ++taken_;
    emptied_.notify_all();
  }
}

Status HostDrain::await_arrival(void* mark) {
  // One thread at a time: several in the driver would hold each other up, and what comes after has arrived by then.
  const std::lock_guard<std::mutex> lock(waiting_);
  return link_.backend().wait(link_.download(), mark);
}

}  // namespace selective_scan
