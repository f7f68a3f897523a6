#include "host_call.h"

#include <algorithm>
#include <limits>
#include <utility>

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

HostCall::HostCall(const Queue& queue, const OpCall& call, bool is_promise, size_t slice_bytes)
    : pinned_(call.operands.size()) {
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
    if (operand.is_output || operand.bytes == 0) continue;
    pinned_[i] = PinnedMemory::find(queue.backend(), arrays_[i], operand.bytes);
    is_pinned[i] = pinned_[i] != nullptr;
    if (is_promise && operand.host != nullptr && !is_pinned[i]) reading_ = Reading::kInTurns;
  }
  if (slice_bytes == 0) slice_bytes = kSliceBytes;
  const size_t chunk_bytes = std::clamp<size_t>(slice_bytes / 2, 1000, HostLink::kSlotBytes);
  pipeline_ = std::make_unique<HostPipeline>(call.slices(slice_bytes), arrays_, std::move(is_pinned), chunk_bytes,
                                             reading_ == Reading::kInTurns);
}

Status HostCall::take(const Queue& queue) {
  if (pipeline_ || small_.slices.empty()) return {};
  const Slice& slice = small_.slices.front();
  const HostImage& shared = small_.shared.front();
  const size_t in_at = aligned(shared.bytes);
  const size_t bytes = in_at + aligned(slice.in.bytes) + slice.out.bytes;
  const Status status = take_pinned_block(queue.backend(), index_of(queue), bytes, &block_);
  if (!status.ok()) return status;
  shared.gather(arrays_, 0, shared.bytes, block_->data());
  slice.in.gather(arrays_, 0, slice.in.bytes, block_->data() + in_at);
  return {};
}

Status HostCall::run(const Queue& queue, const Call& call) {
  if (!pipeline_) return run_small(queue, call);
  if (pipeline_->slices() == 0) return {};
  const Status status = pipeline_->run(queue, call);
  return failed_.load(std::memory_order_acquire) ? failure_ : status;
}

Status HostCall::run_small(const Queue& queue, const Call& call) {
  if (small_.slices.empty()) return {};
  const Backend& backend = queue.backend();
  const Slice& slice = small_.slices.front();
  const HostImage& shared = small_.shared.front();
  const size_t in_at = aligned(shared.bytes);
  const size_t out_at = in_at + aligned(slice.in.bytes);
  void* memory = nullptr;
  Status status = backend.allocate(queue.handle(), out_at + slice.out.bytes, &memory);
  if (!status.ok()) return status;
  char* const device = static_cast<char*>(memory);
  status = backend.enqueue_upload(queue.handle(), device, block_->data(), {in_at + slice.in.bytes});
  std::vector<void*> addresses(small_.arrays, nullptr);
  shared.locate(device, &addresses);
  slice.in.locate(device + in_at, &addresses);
  slice.out.locate(device + out_at, &addresses);
  if (status.ok()) status = slice.op(backend, {queue.handle(), call.cancelled, nullptr}, addresses);
  // Also after an error: the block may go when nothing reads it any more.
  const Status fetched = backend.download(queue.handle(), block_->data() + out_at, device + out_at, slice.out.bytes);
  backend.release(queue.handle(), memory);
  if (status.ok()) status = fetched;
  if (!status.ok()) return status;
  slice.out.scatter(arrays_, 0, slice.out.bytes, block_->data() + out_at);
  if (call.done != nullptr) call.done->fetch_add(slice.elements, std::memory_order_relaxed);
  return {};
}

HostFeed::Turn HostCall::feed() {
  return reading_ == Reading::kInTurns ? pipeline_->feed().turn() : HostFeed::Turn::kDone;
}

void HostCall::fail(Status status) {
  if (failed_.load(std::memory_order_relaxed)) return;
  failure_ = std::move(status);
  failed_.store(true, std::memory_order_release);
  pipeline_->feed().end();
}

}  // namespace selective_scan
