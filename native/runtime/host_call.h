// An op's call on host arrays: small ones are read at once and move in one copy each way, others in slices.
#pragma once

#include <memory>

#include "host_pipeline.h"
#include "op_call.h"

namespace selective_scan {

class HostCall {
 public:
  // How a call's host arrays are read.
  enum class Reading {
    kByCaller,  // now or while the caller waits, or they are memory of ours: nobody else changes them
    kInTurns,   // they are JavaScript's, which goes on meanwhile: feed() has to be called until it is done
  };

  // Of a call whose arrays are all in host memory. Slices move about `slice_bytes` each; 0: as many as suit the device,
  // and a small call is not cut.
  HostCall(const Queue& queue, const OpCall& call, bool is_promise, size_t slice_bytes);

  Reading reading() const { return reading_; }

  // A small call's arrays are read here. To be called before the caller goes on.
  Status take(const Queue& queue);
  // To be run once, in the queue.
  Status run(const Queue& queue, const Call& call);

  // A turn of reading JavaScript's arrays, see HostFeed.
  HostFeed::Turn feed();
  // Gives the call up, because one of its arrays is not what it was.
  void fail(Status status);

  // The arrays that JavaScript may take away between turns, by number, and where they were; null for others.
  const HostArrays& arrays() const { return arrays_; }
  size_t slices() const { return pipeline_ ? pipeline_->slices() : 1; }

 private:
  Status run_small(const Queue& queue, const Call& call);

  HostArrays arrays_;
  std::vector<std::shared_ptr<PinnedMemory>> pinned_;  // by array; held while the call lasts
  Reading reading_ = Reading::kByCaller;
  HostPlan small_;
  std::shared_ptr<PinnedMemory> block_;     // of a small call
  std::unique_ptr<HostPipeline> pipeline_;  // of a large one
  std::atomic<bool> failed_{false};
  Status failure_;
};

}  // namespace selective_scan
