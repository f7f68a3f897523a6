#include "host_pipeline.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "host_drain.h"
#include "slice_buffer.h"

namespace selective_scan {

namespace {

// Slices on the device at a time: one arrives, one is computed, and the others leave, since it takes longest to write
// results to memory that is new. Where memory is short two do, of which one hands its state to the other.
constexpr size_t kMostInFlight = 6;
constexpr size_t kLeastInFlight = 2;

Status aborted() { return {Code::kAborted, "The operation was aborted."}; }

size_t largest(const std::vector<HostImage>& images) {
  size_t bytes = 0;
  for (const HostImage& image : images) bytes = std::max(bytes, image.bytes);
  return bytes;
}

}  // namespace

// One run's device memory, marks and threads.
class HostPipeline::Run {
 public:
  Run(HostPipeline& pipeline, HostLink& link, const Call& call)
      : plan_(pipeline.plan_),
        pipeline_(pipeline),
        link_(link),
        backend_(link.backend()),
        call_{link.compute(), call.cancelled, nullptr},
        drain_(link, pipeline.arrays_, call.done) {}

  ~Run() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      has_ended_ = true;
      changed_.notify_all();
    }
    if (downloader_.joinable()) downloader_.join();
    pipeline_.feed_.end();
    drain_.finish();
    // After this nothing that was enqueued uses the buffers, and every mark is of the past.
    link_.finish();
    for (void* mark : uploading_) backend_.wait(link_.upload(), mark);
    for (const Computed& computed : computed_) backend_.wait(link_.compute(), computed.mark);
  }

  Status run() {
    Status status = allocate();
    if (!status.ok()) return status;
    pipeline_.feed_.begin(link_);
    downloader_ = std::thread([this] { download_slices(); });
    for (size_t k = 0; k < plan_.slices.size(); ++k) {
      if (is_cancelled()) return aborted();
      status = run_slice(k);
      if (!status.ok()) return status;
    }
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return !download_status_.ok() || downloaded_ == plan_.slices.size(); });
      if (!download_status_.ok()) return download_status_;
    }
    return drain_.finish();
  }

 private:
  struct Computed {
    size_t slice;
    void* mark;
  };

  bool is_cancelled() const { return call_.cancelled != nullptr && call_.cancelled->load(); }

  Status allocate() {
    size_t in_bytes = 0;
    size_t out_bytes = 0;
    for (const Slice& slice : plan_.slices) {
      in_bytes = std::max(in_bytes, slice.in.bytes);
      out_bytes = std::max(out_bytes, slice.out.bytes);
    }
    Status status;
    for (size_t i = 0; i < std::min<size_t>(2, plan_.shared.size()) && status.ok(); ++i) {
      status = shared_[i].allocate(backend_, link_.compute(), largest(plan_.shared));
    }
    for (; in_flight_ < std::min(kMostInFlight, plan_.slices.size()) && status.ok(); ++in_flight_) {
      status = in_[in_flight_].allocate(backend_, link_.compute(), in_bytes);
      if (status.ok()) status = out_[in_flight_].allocate(backend_, link_.compute(), out_bytes);
      if (status.code == Code::kOutOfMemory && in_flight_ >= kLeastInFlight) {
        status = {};
        break;
      }
    }
    // Memory is the compute queue's, and the others may use it after its allocation.
    return status.ok() ? hand_over(link_.compute(), link_.upload()) : status;
  }

  // What `to` is given from now on runs after what `from` has been given.
  Status hand_over(void* from, void* to) {
    void* mark = nullptr;
    const Status status = backend_.mark(from, &mark);
    return status.ok() ? backend_.follow(to, mark) : status;
  }

  Status run_slice(size_t k) {
    const Slice& slice = plan_.slices[k];
    SliceBuffer* const in = &in_[k % in_flight_];
    SliceBuffer* const out = &out_[k % in_flight_];
    Status status = slice.shared >= 0 ? upload_shared(slice.shared) : Status{};
    if (status.ok()) status = in->await_free(link_.upload());
    if (status.ok()) status = upload(slice.in, in->memory());
    if (status.ok()) status = hand_over(link_.upload(), link_.compute());
    if (status.ok() && slice.carries_in) {
      const char* before = out_[(k - 1) % in_flight_].memory() + plan_.slices[k - 1].carry_out;
      status = backend_.copy(link_.compute(), in->memory() + slice.carry_in, before, slice.carry_bytes);
    }
    if (status.ok() && k >= in_flight_) status = await_downloaded(k - in_flight_);
    if (status.ok()) status = out->await_free(link_.compute());
    if (!status.ok()) return status;

    std::vector<void*> addresses(plan_.arrays, nullptr);
    if (slice.shared >= 0) plan_.shared[slice.shared].locate(shared_buffer()->memory(), &addresses);
    slice.in.locate(in->memory(), &addresses);
    slice.out.locate(out->memory(), &addresses);
    status = slice.op(backend_, call_, addresses);
    if (status.ok()) status = in->mark_use(link_.compute());
    Computed computed{k, nullptr};
    if (status.ok()) status = backend_.mark(link_.compute(), &computed.mark);
    if (!status.ok()) return status;
    const std::lock_guard<std::mutex> lock(mutex_);
    computed_.push_back(computed);
    changed_.notify_all();
    return {};
  }

  // The last that was uploaded; the one before may still be in use.
  SliceBuffer* shared_buffer() { return &shared_[shared_uploads_ % 2]; }

  Status upload_shared(int shared) {
    if (shared == current_shared_) return {};
    Status status;
    if (current_shared_ >= 0) {
      status = shared_buffer()->mark_use(link_.compute());
      ++shared_uploads_;
    }
    current_shared_ = shared;
    if (status.ok()) status = shared_buffer()->await_free(link_.upload());
    return status.ok() ? upload(plan_.shared[shared], shared_buffer()->memory()) : status;
  }

  Status upload(const HostImage& image, char* target) {
    for (const Region& region : image.regions) {
      if (region.array == Region::kZeros || !pipeline_.is_pinned_[region.array]) continue;
      const char* source = pipeline_.arrays_[region.array] + region.host_offset;
      const Status status = backend_.enqueue_upload(link_.upload(), target + region.image_offset, source, region.rows);
      if (!status.ok()) return status;
    }
    HostFeed& feed = pipeline_.feed_;
    for (; next_chunk_ < feed.chunks() && feed.chunk(next_chunk_).image == &image; ++next_chunk_) {
      const Chunk& chunk = feed.chunk(next_chunk_);
      if (!feed.take(next_chunk_, call_.cancelled)) return aborted();
      Status status = backend_.enqueue_upload(link_.upload(), target + chunk.from, link_.upload_slot(next_chunk_),
                                              {chunk.to - chunk.from});
      void* mark = nullptr;
      if (status.ok()) status = backend_.mark(link_.upload(), &mark);
      if (!status.ok()) return status;
      uploading_.push_back(mark);
      // Half of the slots are on their way while threads fill the other half.
      while (status.ok() && uploading_.size() > HostLink::kUploadSlots / 2) {
        mark = uploading_.front();
        uploading_.pop_front();
        status = backend_.wait(link_.upload(), mark);
        feed.free_one();
      }
      if (!status.ok()) return status;
    }
    return {};
  }

  Status await_downloaded(size_t k) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return !download_status_.ok() || downloaded_ > k; });
    return download_status_;
  }

  void download_slices() {
    // While the first slices are on their way.
    const Status begun = drain_.begin(2 * plan_.slices.size(), pipeline_.feed_.threads());
    std::unique_lock<std::mutex> lock(mutex_);
    if (!begun.ok()) {
      download_status_ = begun;
      changed_.notify_all();
      return;
    }
    for (;;) {
      changed_.wait(lock, [this] { return has_ended_ || !computed_.empty(); });
      if (has_ended_) return;
      const Computed computed = computed_.front();
      computed_.pop_front();
      lock.unlock();
      const Status status = download(computed);
      lock.lock();
      if (download_status_.ok()) download_status_ = status;
      ++downloaded_;
      changed_.notify_all();
      if (!status.ok()) return;
    }
  }

  Status download(const Computed& computed) {
    const Slice& slice = plan_.slices[computed.slice];
    SliceBuffer* const out = &out_[computed.slice % in_flight_];
    Status status = backend_.follow(link_.download(), computed.mark);
    std::vector<Chunk> chunks;
    add_chunks(slice.out, std::vector<bool>(plan_.arrays), pipeline_.most_chunk_bytes_, &chunks);
    for (size_t i = 0; i < chunks.size() && status.ok(); ++i) {
      const bool is_last = i + 1 == chunks.size();
      status = drain_.put(chunks[i], out->memory(), is_last ? slice.elements : 0);
    }
    return status.ok() ? out->mark_use(link_.download()) : status;
  }

  const HostPlan& plan_;
  HostPipeline& pipeline_;
  HostLink& link_;
  const Backend& backend_;
  const Call call_;
  HostDrain drain_;

  size_t in_flight_ = 0;
  SliceBuffer in_[kMostInFlight];
  SliceBuffer out_[kMostInFlight];
  SliceBuffer shared_[2];
  int current_shared_ = -1;
  size_t shared_uploads_ = 0;  // but the first
  size_t next_chunk_ = 0;
  std::deque<void*> uploading_;  // marks after the chunks on their way

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Computed> computed_;  // slices to be fetched
  size_t downloaded_ = 0;          // slices whose download has been enqueued
  bool has_ended_ = false;
  Status download_status_;
  std::thread downloader_;
};

HostPipeline::HostPipeline(HostPlan plan, HostArrays arrays, std::vector<bool> is_pinned, size_t most_chunk_bytes,
                           bool in_turns)
    : plan_(std::move(plan)),
      arrays_(std::move(arrays)),
      is_pinned_(std::move(is_pinned)),
      most_chunk_bytes_(most_chunk_bytes),
      feed_(chunks_of(plan_, is_pinned_, most_chunk_bytes), arrays_, in_turns) {}

Status HostPipeline::run(const Queue& queue, const Call& call) {
  HostLink::Turn turn;
  Status status = turn.take(queue, call.cancelled);
  if (status.ok()) status = Run(*this, turn.link(), call).run();
  feed_.end();
  return status;
}

std::vector<Chunk> HostPipeline::chunks_of(const HostPlan& plan, const std::vector<bool>& is_pinned, size_t most) {
  std::vector<Chunk> chunks;
  int shared = -1;
  for (const Slice& slice : plan.slices) {
    if (slice.shared != shared && slice.shared >= 0) add_chunks(plan.shared[slice.shared], is_pinned, most, &chunks);
    shared = slice.shared;
    add_chunks(slice.in, is_pinned, most, &chunks);
  }
  return chunks;
}

}  // namespace selective_scan
