// The op: chooses the kernel, plans the pieces, and runs them on the pool in one or two phases.
#include "selective_scan.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "cpu_info.h"
#include "flush_denormals.h"
#include "memory.h"
#include "selective_scan_plan.h"
#include "selective_scan_slice.h"
#include "thread_pool.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

bool stopped(const void* stop_context) {
  const auto* cancelled = static_cast<const std::atomic<bool>*>(stop_context);
  return (cancelled && cancelled->load(std::memory_order_relaxed)) || ThreadPool::shared().stopping();
}

Status out_of_memory(const std::string& wanted) {
  return {Code::kOutOfMemory, "Could not allocate " + wanted + " of scratch memory on cpu."};
}

// Per-thread scratch and the carries between chunks of time, in one allocation.
class Workspace {
 public:
  Workspace(const ScanPlan& plan, const SelectiveScanParams& params, const ScanKernel& kernel)
      : carry_floats_(plan.carry_floats()),
        carries_(plan.carries()),
        scratch_floats_((kernel.scratch_floats(params, plan.lane_blocks()) + kAlignment - 1) / kAlignment * kAlignment),
        floats_(2 * static_cast<size_t>(carries_ * carry_floats_) + scratch_floats_ * slots(plan)),
        memory_(allocate_floats(floats_)) {}

  explicit operator bool() const { return memory_ != nullptr; }
  std::string size() const { return std::to_string(floats_ * sizeof(float)) + " bytes"; }

  float* carry(int64_t index) { return memory_.get() + index * carry_floats_; }
  float* decay(int64_t index) { return carry(carries_ + index); }
  float* scratch(int slot) { return carry(2 * carries_) + static_cast<size_t>(slot) * scratch_floats_; }

 private:
  static constexpr size_t kAlignment = 64;  // floats; threads then share no cache line

  static size_t slots(const ScanPlan& plan) {
    return static_cast<size_t>(std::min<int64_t>(plan.threads(), std::max(plan.pieces(0), plan.pieces(1))));
  }

  const int64_t carry_floats_;
  const int64_t carries_;
  const size_t scratch_floats_;
  const size_t floats_;
  const AlignedFloats memory_;
};

// From each chunk's final state from zero to its true final state, in the order of time.
void combine_carries(const ScanPlan& plan, bool is_complex, Workspace* workspace) {
  const int64_t floats = plan.carry_floats();
  for (const PlanPart& part : plan.parts()) {
    const int64_t chunks = part.chunks_after_first;
    for (int64_t i = 0; i < part.units * chunks; ++i) {
      if (i % chunks == 0) continue;  // chunk 0 was computed from its true start
      const float* before = workspace->carry(part.first_carry + i - 1);
      const float* decay = workspace->decay(part.first_carry + i);
      float* after = workspace->carry(part.first_carry + i);
      if (!is_complex) {
        for (int64_t j = 0; j < floats; ++j) after[j] += decay[j] * before[j];
        continue;
      }
      const int64_t lanes = plan.lanes();
      for (int64_t j = 0; j < floats; j += 2 * lanes) {
        for (int64_t re = j; re < j + lanes; ++re) {
          const int64_t im = re + lanes;
          after[re] += decay[re] * before[re] - decay[im] * before[im];
          after[im] += decay[re] * before[im] + decay[im] * before[re];
        }
      }
    }
  }
}

Status run_scan(const Call& call, const SelectiveScanParams& params, const ScanKernel& kernel) {
  const ScanPlan plan(params, kernel, cpu_threads());
  if (plan.pieces(0) == 0) return {};
  Workspace workspace(plan, params, kernel);
  if (!workspace) return out_of_memory(workspace.size());

  for (int phase = 0; phase < 2; ++phase) {
    ThreadPool::shared().run(plan.pieces(phase), plan.threads(), [&](int slot, int64_t index) {
      if (stopped(call.cancelled)) return;
      const FlushDenormals flush;
      const ScanPiece piece = plan.piece(phase, index);
      const PlanPart& part = plan.parts()[static_cast<size_t>(piece.part)];
      ScanSlice slice = plan.slice(piece);
      slice.scratch = workspace.scratch(slot);
      slice.stopped = stopped;
      slice.stop_context = call.cancelled;
      if (part.chunks_after_first > 0) {
        const int64_t carry = part.first_carry + piece.unit * part.chunks_after_first + piece.chunk;
        slice.carry_only = phase == 0 && piece.chunk > 0;
        if (phase == 0) slice.carry_out = workspace.carry(carry);
        if (phase == 1) slice.carry_in = workspace.carry(carry - 1);
        if (slice.carry_only) slice.decay_out = workspace.decay(carry);
      }
      kernel.run(slice);
      if (call.done && !slice.carry_only) {
        call.done->fetch_add(slice.channels * (slice.end - slice.begin), std::memory_order_relaxed);
      }
    });
    if (stopped(call.cancelled)) return {Code::kAborted, "The operation was aborted."};
    if (phase == 0) combine_carries(plan, params.is_complex, &workspace);
  }
  return {};
}

}  // namespace

Status cpu_selective_scan(const Call& call, const SelectiveScanParams& params) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  try {
    return run_scan(call, params, SELECTIVE_SCAN_KERNEL(selective_scan, set));
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "Could not allocate the plan of a scan on cpu."};
  }
}

}  // namespace selective_scan
