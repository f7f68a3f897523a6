// Fills pinned slots with host arrays, on several threads, for one call. Either the arrays are still for the whole
// call; or they are JavaScript's, and are read in turns during which no JavaScript runs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "host_chunks.h"
#include "host_link.h"

namespace selective_scan {

class HostFeed {
 public:
  // For all chunks of a call, in the order in which take() asks for them.
  HostFeed(std::vector<Chunk> chunks, HostArrays arrays, bool in_turns);
  ~HostFeed();
  HostFeed(const HostFeed&) = delete;
  HostFeed& operator=(const HostFeed&) = delete;

  // That it copies with.
  size_t threads() const;
  size_t chunks() const { return chunks_.size(); }
  const Chunk& chunk(size_t i) const { return chunks_[i]; }

  // Starts to fill the link's slots.
  void begin(const HostLink& link);
  // Waits until the chunk is in its slot. False if the feed has ended before, or the flag is up.
  bool take(size_t i, const std::atomic<bool>* cancelled);
  // The slot of the oldest chunk taken may be filled again.
  void free_one();
  // Nothing more is begun to be read. From any thread.
  void stop();
  // Nothing is read any more when this returns. For the thread that began it.
  void end();

  // A turn: reads for about a millisecond, with the caller's help.
  enum class Turn { kDone, kMore, kNotBegun };
  Turn turn();

 private:
  void fill_on_thread();
  bool can_fill() const { return next_ < chunks_.size() && next_ < freed_ + HostLink::kUploadSlots; }
  void fill_next(std::unique_lock<std::mutex>* lock);

  const std::vector<Chunk> chunks_;
  const HostArrays arrays_;
  const bool in_turns_;

  std::mutex mutex_;
  std::condition_variable fillable_;  // a chunk may be filled, or all are, or the feed has begun or ended
  std::condition_variable filled_one_;
  std::condition_variable idle_;    // no chunk is being filled
  const HostLink* link_ = nullptr;  // once it has begun
  bool is_open_ = false;            // whether threads may read
  bool has_ended_ = false;
  size_t next_ = 0;                                                           // the chunk to be filled next
  size_t freed_ = 0;                                                          // chunks whose slot is free again
  size_t active_ = 0;                                                         // chunks being filled
  std::vector<size_t> filled_ = std::vector<size_t>(HostLink::kUploadSlots);  // one more than the chunk in each slot
  std::vector<std::thread> threads_;
};

}  // namespace selective_scan
