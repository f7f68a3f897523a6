#include "selective_scan_plan.h"

#include <algorithm>
#include <functional>
#include <queue>

#include "thread_pool.h"

namespace selective_scan {
namespace {

// More lane blocks in a unit share the conversion of B and C; past a few nothing is left to share.
constexpr int64_t kMaxLaneBlocks = 4;
// Pieces a thread, so that threads that come late or are slow do not decide the time.
constexpr int64_t kPiecesPerThread = 4;
// What a unit keeps for all of its lane blocks should stay in a second-level cache.
constexpr int64_t kMaxStateFloats = 1 << 16;
constexpr int64_t kMinChunkSteps = 512;
// The time of a pass for the carry alone over that of a full one.
constexpr double kCarryCost = 0.75;
constexpr int64_t kChunkAlignment = 16;
// How much later than the others a thread may be done before it is worth asking whether a cut helps.
constexpr double kUneven = 1.1;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

double state_steps(const SelectiveScanParams& params) {
  return static_cast<double>(params.batch) * static_cast<double>(params.dim) * static_cast<double>(params.seqlen) *
         static_cast<double>(params.dstate);
}

// The times at which threads are done with what they have been given; the next job goes to the one done first.
class Schedule {
 public:
  explicit Schedule(int threads) : threads_(threads) {
    for (int i = 0; i < threads; ++i) done_.push(0.0);
  }

  double next_done(double steps) const { return done_.top() + steps; }

  void add(double steps) {
    const double done = next_done(steps);
    done_.pop();
    done_.push(done);
    last_ = std::max(last_, done);
  }

  // A job for each thread leaves them as far apart as they are.
  void add(double steps, int64_t count) {
    all_threads_ += steps * static_cast<double>(count / threads_);
    for (int64_t i = 0; i < count % threads_; ++i) add(steps);
  }

  double last_done() const { return last_ + all_threads_; }

 private:
  const int threads_;
  std::priority_queue<double, std::vector<double>, std::greater<double>> done_;
  double last_ = 0.0;
  double all_threads_ = 0.0;
};

// Such that all pieces of the first phase take the same time, the first chunk as long as the others' carries.
double steps_of_chunk(int64_t steps, int64_t chunks_after_first) {
  return static_cast<double>(steps) / (static_cast<double>(chunks_after_first) + kCarryCost);
}

}  // namespace

ScanPlan::ScanPlan(const SelectiveScanParams& params, const ScanKernel& kernel, int threads)
    : params_(params),
      lanes_(kernel.lanes),
      channels_per_group_(params.dim / params.groups),
      threads_(threads_worth_waking(state_steps(params), threads)) {
  const int64_t sequences = params.cu_seqlens ? params.sequences : params.batch;
  cut_channels(sequences);
  sequences_.reserve(static_cast<size_t>(sequences));
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t begin = params.cu_seqlens ? params.cu_seqlens[s] : 0;
    const int64_t end = params.cu_seqlens ? params.cu_seqlens[s + 1] : params.seqlen;
    sequences_.push_back({s, begin, end, units_, 0});
  }
  std::stable_sort(sequences_.begin(), sequences_.end(),
                   [](const Sequence& a, const Sequence& b) { return a.steps() > b.steps(); });
  bool cut = false;
  // Chunks of time change the bits; the cut by channels does not.
  if (!params.batch_invariant) {
    choose_cut_units();
    choose_chunks();
    cut = cutting_pays();
  }
  for (std::vector<int64_t>& first : first_piece_) first.assign(1, 0);
  for (const Sequence& sequence : sequences_) {
    const int64_t whole = cut ? sequence.whole_units : units_;
    if (whole > 0) add_part(sequence, 0, whole, 0);
    if (whole < units_) add_part(sequence, whole, units_ - whole, sequence.chunks_after_first);
  }
}

void ScanPlan::cut_channels(int64_t sequences) {
  const int64_t blocks_per_group = divide_up(channels_per_group_, lanes_);
  const int64_t blocks = sequences * params_.groups * blocks_per_group;
  const int64_t state_floats = params_.dstate * lanes_ * (params_.is_complex ? 2 : 1);
  lane_blocks_ = std::min(
      {kMaxLaneBlocks, blocks_per_group, blocks / (kPiecesPerThread * threads_), kMaxStateFloats / state_floats});
  lane_blocks_ = std::max<int64_t>(1, lane_blocks_);
  units_per_group_ = divide_up(blocks_per_group, lane_blocks_);
  units_ = params_.groups * units_per_group_;
  carry_floats_ = lane_blocks_ * state_floats;
}

// Those that would end late, when threads take the longest units first.
void ScanPlan::choose_cut_units() {
  double total_steps = 0.0;
  for (const Sequence& sequence : sequences_) total_steps += static_cast<double>(sequence.steps());
  const double even = total_steps * static_cast<double>(units_) / threads_;
  Schedule schedule(threads_);
  for (Sequence& sequence : sequences_) {
    if (sequence.steps() < 2 * kMinChunkSteps) return;
    const auto steps = static_cast<double>(sequence.steps());
    int64_t& whole = sequence.whole_units;
    for (whole = 0; whole < units_ && schedule.next_done(steps) <= kUneven * even; ++whole) schedule.add(steps);
  }
}

// Together the units that are cut have a chunk for each thread, in proportion to their steps.
void ScanPlan::choose_chunks() {
  double cut_steps = 0.0;
  for (const Sequence& sequence : sequences_) {
    cut_steps += static_cast<double>(sequence.steps()) * static_cast<double>(units_ - sequence.whole_units);
  }
  for (Sequence& sequence : sequences_) {
    if (sequence.whole_units == units_) continue;
    const double share = threads_ * static_cast<double>(sequence.steps()) / cut_steps;
    sequence.chunks_after_first =
        std::min(std::max<int64_t>(2, static_cast<int64_t>(share)), sequence.steps() / kMinChunkSteps);
  }
}

bool ScanPlan::cutting_pays() const {
  const auto is_cut = [this](const Sequence& sequence) { return sequence.whole_units < units_; };
  if (std::none_of(sequences_.begin(), sequences_.end(), is_cut)) return false;
  Schedule uncut(threads_), first_phase(threads_), second_phase(threads_);
  for (const Sequence& sequence : sequences_) {
    const auto steps = static_cast<double>(sequence.steps());
    uncut.add(steps, units_);
    first_phase.add(steps, sequence.whole_units);
    const int64_t chunks = (units_ - sequence.whole_units) * sequence.chunks_after_first;
    const double chunk_steps = steps_of_chunk(sequence.steps(), sequence.chunks_after_first);
    first_phase.add(kCarryCost * chunk_steps, chunks);
    second_phase.add(chunk_steps, chunks);
  }
  return first_phase.last_done() + second_phase.last_done() < uncut.last_done();
}

void ScanPlan::add_part(const Sequence& sequence, int64_t first_unit, int64_t units, int64_t chunks_after_first) {
  PlanPart part;
  part.sequence = sequence.index;
  part.begin = sequence.begin;
  part.end = sequence.end;
  part.first_unit = first_unit;
  part.units = units;
  if (chunks_after_first > 0) {
    const auto steps = static_cast<int64_t>(steps_of_chunk(sequence.steps(), chunks_after_first));
    part.chunks_after_first = chunks_after_first;
    part.chunk_steps = steps / kChunkAlignment * kChunkAlignment;
    part.first_carry = carries_;
    carries_ += units * chunks_after_first;
  }
  parts_.push_back(part);
  first_piece_[0].push_back(first_piece_[0].back() + units * std::max<int64_t>(1, chunks_after_first));
  first_piece_[1].push_back(first_piece_[1].back() + units * chunks_after_first);
}

ScanPiece ScanPlan::piece(int phase, int64_t index) const {
  const std::vector<int64_t>& first = first_piece_[phase];
  ScanPiece piece;
  piece.part = std::upper_bound(first.begin(), first.end(), index) - first.begin() - 1;
  const int64_t within = index - first[static_cast<size_t>(piece.part)];
  const int64_t chunks = parts_[static_cast<size_t>(piece.part)].chunks_after_first;
  piece.unit = within / std::max<int64_t>(1, chunks);
  piece.chunk = within % std::max<int64_t>(1, chunks) + phase;
  return piece;
}

ScanSlice ScanPlan::slice(const ScanPiece& piece) const {
  const PlanPart& part = parts_[static_cast<size_t>(piece.part)];
  const int64_t unit = part.first_unit + piece.unit;
  const int64_t group = unit / units_per_group_;
  const int64_t first_in_group = unit % units_per_group_ * lane_blocks_ * lanes_;
  ScanSlice slice;
  slice.params = &params_;
  slice.batch = params_.cu_seqlens ? 0 : part.sequence;
  slice.sequence = part.sequence;
  slice.channel = group * channels_per_group_ + first_in_group;
  slice.channels = std::min(lane_blocks_ * lanes_, channels_per_group_ - first_in_group);
  slice.begin = part.chunk_begin(piece.chunk);
  slice.end = part.chunk_end(piece.chunk);
  slice.ends_sequence = piece.chunk == part.chunks_after_first;
  return slice;
}

}  // namespace selective_scan
