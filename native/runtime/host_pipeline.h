// Runs a plan of slices: uploads, computing and downloads go on at the same time, each in the order of the slices.
#pragma once

#include <memory>

#include "host_feed.h"
#include "host_plan.h"

namespace selective_scan {

class HostPipeline {
 public:
  // `is_pinned` says of each array whether the device reads it by itself. Chunks have `most_chunk_bytes` at most.
  HostPipeline(HostPlan plan, HostArrays arrays, std::vector<bool> is_pinned, size_t most_chunk_bytes, bool in_turns);

  // To be run once. Results are in the host's arrays when it returns well, and nothing is under way when it returns.
  Status run(const Queue& queue, const Call& call);

  HostFeed& feed() { return feed_; }
  size_t slices() const { return plan_.slices.size(); }

 private:
  class Run;

  static std::vector<Chunk> chunks_of(const HostPlan& plan, const std::vector<bool>& is_pinned, size_t most);

  const HostPlan plan_;
  const HostArrays arrays_;
  const std::vector<bool> is_pinned_;
  const size_t most_chunk_bytes_;
  HostFeed feed_;
};

}  // namespace selective_scan
