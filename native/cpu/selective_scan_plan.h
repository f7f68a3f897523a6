// How a scan is cut into pieces that threads can take: by sequence and by runs of channels of one group, its units, and
// by time those units that would keep one thread busy when the others are done. The cut depends on the shape and the
// number of threads only, so that the same call gives the same bits again.
//
// In time, a unit of P + 1 chunks takes two phases. The first computes chunk 0 in full and, of chunks 1 to P - 1, only
// the final state from zero and the product of the decays; from these follow all starting states, and the second phase
// computes chunks 1 to P in full. Units that are not cut are done in the first phase.
#pragma once

#include <cstdint>
#include <vector>

#include "selective_scan_slice.h"

namespace selective_scan {

struct ScanPiece {
  int64_t part;   // of the plan
  int64_t unit;   // within the part
  int64_t chunk;  // 0 to chunks_after_first
};

// Units of one sequence that are cut in the same way.
struct PlanPart {
  int64_t sequence = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t first_unit = 0;
  int64_t units = 0;
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
  int64_t carries() const { return carries_; }
  int64_t carry_floats() const { return carry_floats_; }
  const std::vector<PlanPart>& parts() const { return parts_; }

  int64_t pieces(int phase) const { return first_piece_[phase].back(); }
  ScanPiece piece(int phase, int64_t index) const;

  // The channels and times of a piece; carries, scratch and the like are the caller's to fill in.
  ScanSlice slice(const ScanPiece& piece) const;

 private:
  struct Sequence {
    int64_t index, begin, end;
    int64_t whole_units;
    int64_t chunks_after_first;  // of the other units

    int64_t steps() const { return end - begin; }
  };

  void cut_channels(int64_t sequences);
  void choose_cut_units();
  void choose_chunks();
  bool cutting_pays() const;
  void add_part(const Sequence& sequence, int64_t first_unit, int64_t units, int64_t chunks_after_first);

  const SelectiveScanParams& params_;
  const int64_t lanes_;
  const int64_t channels_per_group_;
  int threads_;
  int64_t lane_blocks_ = 1;
  int64_t units_per_group_ = 1;
  int64_t units_ = 1;  // in a sequence
  int64_t carries_ = 0;
  int64_t carry_floats_ = 0;
  std::vector<Sequence> sequences_;  // the longest first
  std::vector<PlanPart> parts_;
  std::vector<int64_t> first_piece_[2];  // [phase][part], and the total at the end
};

}  // namespace selective_scan
