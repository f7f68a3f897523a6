#include "host_feed.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace selective_scan {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr size_t kMostThreads = 8;

// Half of the cores: the others take results out at the same time.
size_t threads_for(size_t chunks) {
  const size_t cores = std::max(2u, std::thread::hardware_concurrency());
  return std::min({cores / 2, kMostThreads, chunks});
}

}  // namespace

HostFeed::HostFeed(std::vector<Chunk> chunks, HostArrays arrays, bool in_turns)
    : chunks_(std::move(chunks)), arrays_(std::move(arrays)), in_turns_(in_turns) {}

size_t HostFeed::threads() const { return threads_for(chunks_.size()); }

HostFeed::~HostFeed() { end(); }

void HostFeed::begin(const HostLink& link) {
  const std::lock_guard<std::mutex> lock(mutex_);
  link_ = &link;
  is_open_ = !in_turns_;
  fillable_.notify_all();
  try {
    while (threads_.size() < threads()) threads_.emplace_back(&HostFeed::fill_on_thread, this);
  } catch (const std::system_error&) {
    // The system grants no more threads. In turns the caller can do it alone.
    if (threads_.empty() && !in_turns_) throw;
  }
}

bool HostFeed::take(size_t i, const std::atomic<bool>* cancelled) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto is_there = [&] { return has_ended_ || filled_[i % HostLink::kUploadSlots] == i + 1; };
  while (!filled_one_.wait_for(lock, milliseconds(2), is_there)) {
    if (cancelled != nullptr && cancelled->load()) return false;
  }
  return !has_ended_;
}

void HostFeed::free_one() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++freed_;
  fillable_.notify_one();
}

void HostFeed::stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  has_ended_ = true;
  fillable_.notify_all();
  filled_one_.notify_all();
}

void HostFeed::end() {
  stop();
  {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return active_ == 0; });
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

HostFeed::Turn HostFeed::turn() {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto until = std::chrono::steady_clock::now() + microseconds(700);
  fillable_.wait_until(lock, until, [this] { return has_ended_ || link_ != nullptr; });
  if (has_ended_ || next_ == chunks_.size()) return Turn::kDone;
  if (link_ == nullptr) return Turn::kNotBegun;
  is_open_ = true;
  fillable_.notify_all();
  while (!has_ended_ && next_ < chunks_.size() && std::chrono::steady_clock::now() < until) {
    if (can_fill()) {
      fill_next(&lock);
    } else {
      fillable_.wait_until(lock, until, [this] { return has_ended_ || can_fill() || next_ == chunks_.size(); });
    }
  }
  is_open_ = false;
  idle_.wait(lock, [this] { return active_ == 0; });
  return has_ended_ || next_ == chunks_.size() ? Turn::kDone : Turn::kMore;
}

void HostFeed::fill_on_thread() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    fillable_.wait(lock, [this] { return has_ended_ || next_ == chunks_.size() || (is_open_ && can_fill()); });
    if (has_ended_ || next_ == chunks_.size()) return;
    fill_next(&lock);
  }
}

void HostFeed::fill_next(std::unique_lock<std::mutex>* lock) {
  const size_t i = next_++;
  if (next_ == chunks_.size()) fillable_.notify_all();
  const Chunk& chunk = chunks_[i];
  ++active_;
  lock->unlock();
  chunk.image->gather(arrays_, chunk.from, chunk.to, link_->upload_slot(i));
  lock->lock();
  filled_[i % HostLink::kUploadSlots] = i + 1;
  filled_one_.notify_one();
  if (--active_ == 0) idle_.notify_all();
}

}  // namespace selective_scan
