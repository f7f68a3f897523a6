#include "host_call.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "huge_pages.h"
#include "pinned_blocks.h"

namespace selective_scan {

namespace {

// Read at the call, and moved in one copy each way.
constexpr size_t kMostSmallBytes = size_t{4} << 20;

// Of a slice, all its arrays together: long enough that the device computes at speed, short enough that the first
// arrives and the last leaves soon.
constexpr size_t kSliceBytes = size_t{16} << 20;

constexpr size_t kAlignment = 256;
size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

int index_of(const Queue& queue) { return queue.device() == kCpuDevice ? 0 : queue.device(); }

}  // namespace

HostCall::HostCall(std::shared_ptr<Queue> queue, const OpCall& call, bool is_promise, size_t slice_bytes)
    : queue_(std::move(queue)), pinned_(call.operands.size()) {
  size_t bytes = 0;
  for (size_t i = 0; i < call.operands.size(); ++i) {
    const Operand& operand = call.operands[i];
    arrays_.push_back(static_cast<char*>(operand.storage != nullptr ? operand.storage->data() : operand.host));
    bytes += operand.bytes;
  }
  if (slice_bytes == 0 && bytes <= kMostSmallBytes) {
    small_ = call.slices(std::numeric_limits<size_t>::max() / 2);
    return;
  }
  std::vector<bool> is_pinned(call.operands.size());
  for (size_t i = 0; i < call.operands.size(); ++i) {
    const Operand& operand = call.operands[i];
    if (operand.bytes == 0) continue;
    pinned_[i] = PinnedMemory::find(arrays_[i], operand.bytes);
    if (operand.is_output) {
      if (pinned_[i] == nullptr) use_huge_pages(arrays_[i], operand.bytes);
      continue;
    }
    is_pinned[i] = pinned_[i] != nullptr && pinned_[i]->serves(queue_->backend());
    if (is_promise && operand.host != nullptr && !is_pinned[i]) reading_ = Reading::kInTurns;
  }
  if (slice_bytes == 0) slice_bytes = kSliceBytes;
  const size_t chunk_bytes = std::clamp<size_t>(slice_bytes / 2, 1000, HostLink::kSlotBytes);
  pipeline_ = std::make_unique<HostPipeline>(call.slices(slice_bytes), arrays_, std::move(is_pinned), chunk_bytes,
                                             reading_ == Reading::kInTurns);
}

HostCall::~HostCall() {
  if (memory_ == nullptr) return;
  // A call that was given up after it had begun: the block may go when nothing uses it any more.
  fetch();
}

Status HostCall::begin() {
  if (small_.slices.empty()) return {};
  const Backend& backend = queue_->backend();
  const Slice& slice = small_.slices.front();
  const HostImage& shared = small_.shared.front();
  const size_t in_at = aligned(shared.bytes);
  out_at_ = in_at + aligned(slice.in.bytes);
  Status status = take_pinned_block(backend, index_of(*queue_), out_at_ + slice.out.bytes, &block_);
  if (!status.ok()) return status;
  shared.gather(arrays_, 0, shared.bytes, block_->data());
  slice.in.gather(arrays_, 0, slice.in.bytes, block_->data() + in_at);

  void* memory = nullptr;
  status = backend.allocate(queue_->handle(), out_at_ + slice.out.bytes, &memory);
  if (!status.ok()) return status;
  memory_ = static_cast<char*>(memory);
  status = backend.enqueue_upload(queue_->handle(), memory_, block_->data(), {in_at + slice.in.bytes});
  if (!status.ok()) return status;
  std::vector<void*> addresses(small_.arrays, nullptr);
  shared.locate(memory_, &addresses);
  slice.in.locate(memory_ + in_at, &addresses);
  slice.out.locate(memory_ + out_at_, &addresses);
  return slice.op(backend, {queue_->handle(), nullptr, nullptr}, addresses);
}

Status HostCall::finish(const Call& call) {
  if (pipeline_) {
    if (pipeline_->slices() == 0) return {};
    const Status status = pipeline_->run(*queue_, call);
    return failed_.load(std::memory_order_acquire) ? failure_ : status;
  }
  if (small_.slices.empty()) return {};
  const Slice& slice = small_.slices.front();
  const Status status = fetch();
  if (!status.ok()) return status;
  slice.out.scatter(arrays_, 0, slice.out.bytes, block_->data() + out_at_);
  // For the next call: JavaScript may keep this one until its garbage is collected.
  block_ = nullptr;
  if (call.done != nullptr) call.done->fetch_add(slice.elements, std::memory_order_relaxed);
  return {};
}

Status HostCall::fetch() {
  // Not what lies between the arrays, which nobody has written.
  const HostImage& out = small_.slices.front().out;
  const Backend& backend = queue_->backend();
  Status status = out.for_each_covered(0, out.bytes, [&](size_t begin, size_t end) {
    void* const target = block_->data() + out_at_ + begin;
    const void* const source = memory_ + out_at_ + begin;
    if (end < out.bytes) return backend.enqueue_download(queue_->handle(), target, source, {end - begin});
    return backend.download(queue_->handle(), target, source, end - begin);  // the last, which is waited for
  });
  backend.release(queue_->handle(), memory_);
  memory_ = nullptr;
  return status;
}

HostFeed::Turn HostCall::feed() {
  return reading_ == Reading::kInTurns ? pipeline_->feed().turn() : HostFeed::Turn::kDone;
}

void HostCall::fail(Status status) {
  if (failed_.load(std::memory_order_relaxed)) return;
  failure_ = std::move(status);
  failed_.store(true, std::memory_order_release);
  pipeline_->feed().stop();
}

}  // namespace selective_scan
