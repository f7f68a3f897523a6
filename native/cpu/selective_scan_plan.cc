#include "selective_scan_plan.h"

#include <algorithm>

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

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

double state_steps(const SelectiveScanParams& params) {
  return static_cast<double>(params.batch) * static_cast<double>(params.dim) * static_cast<double>(params.seqlen) *
         static_cast<double>(params.dstate);
}

}  // namespace

ScanPlan::ScanPlan(const SelectiveScanParams& params, const ScanKernel& kernel, int threads)
    : params_(params),
      lanes_(kernel.lanes),
      channels_per_group_(params.dim / params.groups),
      threads_(threads_worth_waking(state_steps(params), threads)) {
  sequences_.resize(static_cast<size_t>(params.cu_seqlens ? params.sequences : params.batch));
  for (size_t s = 0; s < sequences_.size(); ++s) {
    SequencePlan& sequence = sequences_[s];
    sequence.batch = params.cu_seqlens ? 0 : static_cast<int64_t>(s);
    sequence.begin = params.cu_seqlens ? params.cu_seqlens[s] : 0;
    sequence.end = params.cu_seqlens ? params.cu_seqlens[s + 1] : params.seqlen;
  }
  cut_channels();
  cut_time();
}

void ScanPlan::cut_channels() {
  const int64_t blocks_per_group = divide_up(channels_per_group_, lanes_);
  const int64_t blocks = static_cast<int64_t>(sequences_.size()) * params_.groups * blocks_per_group;
  const int64_t state_floats = params_.dstate * lanes_ * (params_.is_complex ? 2 : 1);
  lane_blocks_ = std::min(
      {kMaxLaneBlocks, blocks_per_group, blocks / (kPiecesPerThread * threads_), kMaxStateFloats / state_floats});
  lane_blocks_ = std::max<int64_t>(1, lane_blocks_);
  units_per_group_ = divide_up(blocks_per_group, lane_blocks_);
  units_ = params_.groups * units_per_group_;
  carry_floats_ = lane_blocks_ * state_floats;
}

void ScanPlan::cut_time() {
  int64_t total_steps = 0;
  for (const SequencePlan& sequence : sequences_) total_steps += sequence.end - sequence.begin;
  for (std::vector<int64_t>& first : first_piece_) first.assign(1, 0);
  for (SequencePlan& sequence : sequences_) {
    const int64_t steps = sequence.end - sequence.begin;
    // The threads one unit would have to itself if time were shared out evenly.
    const double share = total_steps == 0 ? 0.0
                                          : static_cast<double>(threads_) * static_cast<double>(steps) /
                                                (static_cast<double>(total_steps) * static_cast<double>(units_));
    const int64_t chunks = std::min(static_cast<int64_t>(share), steps / kMinChunkSteps);
    if (chunks >= 2) {
      const double chunk_steps = static_cast<double>(steps) / (static_cast<double>(chunks) + kCarryCost);
      sequence.chunks_after_first = chunks;
      sequence.chunk_steps = static_cast<int64_t>(chunk_steps) / kChunkAlignment * kChunkAlignment;
      sequence.first_carry = carries_;
      carries_ += units_ * chunks;
    }
    first_piece_[0].push_back(first_piece_[0].back() + units_ * std::max<int64_t>(1, sequence.chunks_after_first));
    first_piece_[1].push_back(first_piece_[1].back() + units_ * sequence.chunks_after_first);
  }
}

ScanPiece ScanPlan::piece(int phase, int64_t index) const {
  const std::vector<int64_t>& first = first_piece_[phase];
  ScanPiece piece;
  piece.sequence = std::upper_bound(first.begin(), first.end(), index) - first.begin() - 1;
  const int64_t within = index - first[static_cast<size_t>(piece.sequence)];
  const int64_t chunks = sequences_[static_cast<size_t>(piece.sequence)].chunks_after_first;
  piece.unit = within / std::max<int64_t>(1, chunks);
  piece.chunk = within % std::max<int64_t>(1, chunks) + phase;
  return piece;
}

ScanSlice ScanPlan::slice(const ScanPiece& piece) const {
  const SequencePlan& sequence = sequences_[static_cast<size_t>(piece.sequence)];
  const int64_t group = piece.unit / units_per_group_;
  const int64_t first_in_group = piece.unit % units_per_group_ * lane_blocks_ * lanes_;
  ScanSlice slice;
  slice.params = &params_;
  slice.batch = sequence.batch;
  slice.sequence = piece.sequence;
  slice.channel = group * channels_per_group_ + first_in_group;
  slice.channels = std::min(lane_blocks_ * lanes_, channels_per_group_ - first_in_group);
  slice.begin = sequence.chunk_begin(piece.chunk);
  slice.end = sequence.chunk_end(piece.chunk);
  slice.ends_sequence = piece.chunk == sequence.chunks_after_first;
  return slice;
}

}  // namespace selective_scan
