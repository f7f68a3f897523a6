// How a scan is cut into pieces that threads can take: by sequence and by runs of channels of one group, and, where a
// sequence would keep too few threads busy, by time. The cut depends on the shape and the number of threads only, so
// that the same call gives the same bits again.
//
// In time, a sequence of P + 1 chunks takes two phases. The first computes chunk 0 in full and, of chunks 1 to P - 1,
// only the final state from zero and the product of the decays; from these follow all starting states, and the second
// phase computes chunks 1 to P in full. Sequences that are not cut are done in the first phase.
#pragma once

#include <cstdint>
#include <vector>

#include "selective_scan_slice.h"

namespace selective_scan {

struct ScanPiece {
  int64_t sequence;
  int64_t unit;   // within the sequence
  int64_t chunk;  // 0 to chunks_after_first
};

struct SequencePlan {
  int64_t batch = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t chunks_after_first = 0;  // P; 0: not cut
  int64_t chunk_steps = 0;         // of all chunks but the first
  int64_t first_carry = 0;         // carries are numbered through: first_carry + unit * P + chunk

  int64_t chunk_begin(int64_t chunk) const {
    return chunk == 0 ? begin : end - (chunks_after_first - chunk + 1) * chunk_steps;
  }
  int64_t chunk_end(int64_t chunk) const { return end - (chunks_after_first - chunk) * chunk_steps; }
};

class ScanPlan {
 public:
  ScanPlan(const SelectiveScanParams& params, const ScanKernel& kernel, int threads);

  int threads() const { return threads_; }
  int64_t lanes() const { return lanes_; }
  int64_t lane_blocks() const { return lane_blocks_; }  // at most, in a unit
  int64_t units() const { return units_; }              // in a sequence
  int64_t carries() const { return carries_; }
  int64_t carry_floats() const { return carry_floats_; }
  const std::vector<SequencePlan>& sequences() const { return sequences_; }

  int64_t pieces(int phase) const { return first_piece_[phase].back(); }
  ScanPiece piece(int phase, int64_t index) const;

  // The channels and times of a piece; carries, scratch and the like are the caller's to fill in.
  ScanSlice slice(const ScanPiece& piece) const;

 private:
  void cut_channels();
  void cut_time();

  const SelectiveScanParams& params_;
  const int64_t lanes_;
  const int64_t channels_per_group_;
  int threads_;
  int64_t lane_blocks_ = 1;
  int64_t units_per_group_ = 1;
  int64_t units_ = 1;
  int64_t carries_ = 0;
  int64_t carry_floats_ = 0;
  std::vector<SequencePlan> sequences_;
  std::vector<int64_t> first_piece_[2];  // [phase][sequence], and the total at the end
};

}  // namespace selective_scan
