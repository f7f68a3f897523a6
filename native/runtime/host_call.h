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

  // Of a call whose arrays are all in host memory. Slices move about `slice_bytes` each; 0: as many as suit a device,
  // and a small call is not cut.
  HostCall(std::shared_ptr<Queue> queue, const OpCall& call, bool is_promise, size_t slice_bytes);
  ~HostCall();
  HostCall(const HostCall&) = delete;
  HostCall& operator=(const HostCall&) = delete;

  Reading reading() const { return reading_; }
  bool is_small() const { return pipeline_ == nullptr; }

  // Reads a small call's arrays and enqueues it. To be called in the queue's order, before the caller goes on.
  Status begin();
  // Runs a large call; of a small one waits for the results. Once, in the queue.
  Status finish(const Call& call);

  // A turn of reading JavaScript's arrays, see HostFeed.
  HostFeed::Turn feed();
  // Gives the call up, because one of its arrays is not what it was.
  void fail(Status status);

  size_t slices() const { return pipeline_ ? pipeline_->slices() : 1; }

 private:
  Status fetch();

  const std::shared_ptr<Queue> queue_;
  HostArrays arrays_;
  std::vector<std::shared_ptr<PinnedMemory>> pinned_;  // by array; held while the call lasts
  Reading reading_ = Reading::kByCaller;

  HostPlan small_;  // of one slice, or none
  std::shared_ptr<PinnedMemory> block_;
  char* memory_ = nullptr;  // on the device, from begin() on until the results are fetched
  size_t out_at_ = 0;       // where the results lie, in both

  std::unique_ptr<HostPipeline> pipeline_;  // of a large call
  std::atomic<bool> failed_{false};
  Status failure_;
};

}  // namespace selective_scan
