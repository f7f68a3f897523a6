// u, delta, z and out of a specialised scan: the pieces of each tile that a thread has, the same one in both roles.
#pragma once

#include "specialized_scan_config.cuh"

namespace selective_scan {

template <typename Config>
class SpecializedRows {
  using Element = typename Config::Element;
  static constexpr int kPiece = Config::kPiece;
  static constexpr int kPieces = Config::kPieces;
  static constexpr int kTile = Config::kTile;
  static constexpr int kPart = kTile / kPieces;                // steps from one piece of a thread to the next
  static constexpr int kChannels = Config::kBdl ? 1 : kPiece;  // of a piece

 public:
  // `thread` is of the preparers' or of the finishers', `values` are theirs of each channel: the bias or D.
  __device__ __forceinline__ SpecializedRows(const SelectiveScanParams& p, const BlockPlace& place,
                                             const BlockMemory& memory, int thread, const float* values)
      : p_(p),
        place_(place),
        memory_(memory),
        pitch_(Config::kBdl ? p.seqlen : p.dim),
        origin_(Config::kBdl ? (place.span.batch * p.dim + place.first_channel) * p.seqlen + place.span.start
                             : (place.span.batch * p.seqlen + place.span.start) * p.dim + place.first_channel) {
    const int channels = place.channels;
    aligned_ = (origin_ | pitch_ | (Config::kBdl ? 0 : channels)) % kPiece == 0;
    if constexpr (Config::kBdl) {
      constexpr int kRowThreads = kPart / kPiece;
      row_ = thread / kRowThreads;
      column_ = thread % kRowThreads * kPiece;
      channels_ = row_ < channels ? 1 : 0;
      set_copy(row_, column_, channels_ != 0, column_ + kPiece == kPart);
    } else {
      // Lanes copy along a row, whose elements are adjacent in device memory, and compute along a column, whose steps
      // are adjacent in shared memory.
      const int walkers = memory.m.walkers;
      const int column = thread % walkers * kPiece;
      set_copy(thread / walkers, column, thread / walkers < kPart && column < channels, column + kPiece >= channels);
      row_ = thread % kPart;
      column_ = thread / kPart * kPiece;
      channels_ = clamp_count(channels - column_, kPiece);
    }
    const int channel = Config::kBdl ? row_ : column_;
    first_ = origin_ + row_ * pitch_ + column_;
    at_ = row_ * memory.m.row_bytes + column_ * Config::kSize;
    step_at_ = Config::kBdl ? row_ * Config::kStepPitch + column_ : column_ * Config::kStepPitch + row_;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) shifts_[i] = shift_of(row_ + (Config::kBdl ? 0 : i * kPart));
#pragma unroll
    for (int j = 0; j < kChannels; ++j) {
      values_[j] = j < channels_ && values != nullptr ? values[place.first_channel + channel + j] : 0.0f;
    }
  }

  // Starts the copies of the tile at step `start` of the piece of time.
  __device__ __forceinline__ void fetch(unsigned tile, int64_t start) const {
    if (!copies_) return;
    const int64_t from = source_ + advance(start);
    if (!is_inside<Config>(place_, start, aligned_)) {
      copy_end(tile, from);
      return;
    }
    copy(memory_.u(tile), p_.u, from);
    copy(memory_.delta(tile), p_.delta, from);
    if (p_.z != nullptr) copy(memory_.z(tile), p_.z, from);
  }

  // dt and dt * u. Steps that do not exist leave the states as they are.
  __device__ __forceinline__ void prepare(unsigned tile, int steps) const {
    if (channels_ == 0) return;
    if (aligned_) {
      prepare_pieces<true>(tile, steps);
    } else {
      prepare_pieces<false>(tile, steps);
    }
  }

  // From the parts of y to out.
  __device__ __forceinline__ void finish(unsigned tile, int64_t start, int steps) const {
    if (channels_ == 0) return;
    if (aligned_) {
      finish_pieces<true>(tile, start, steps);
    } else {
      finish_pieces<false>(tile, start, steps);
    }
  }

 private:
  // How far a row starts beyond a boundary of pieces, the same in every tile, whose steps are a multiple of a piece.
  __device__ __forceinline__ int shift_of(int row) const {
    return static_cast<int>((origin_ + row * pitch_) & (kPiece - 1));
  }

  __device__ __forceinline__ void set_copy(int row, int column, bool exists, bool is_last) {
    copies_ = exists;
    source_ = origin_ + row * pitch_ + column - shift_of(row);
    target_ = row * memory_.m.row_bytes + column * Config::kSize;
    overhangs_ = 0;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      // In 'bdl' a row ends with a thread's last piece.
      if (!is_last || (Config::kBdl && i + 1 < kPieces)) continue;
      if (shift_of(row + (Config::kBdl ? 0 : i * kPart)) != 0) overhangs_ |= 1u << i;
    }
  }

  // To a thread's piece from its first, in elements of device memory and in bytes of an array.
  __device__ __forceinline__ int64_t later(int piece) const {
    return Config::kBdl ? piece * kPart : piece * kPart * pitch_;
  }
  __device__ __forceinline__ int later_at(int piece) const {
    return piece * kPart * (Config::kBdl ? Config::kSize : memory_.m.row_bytes);
  }

  __device__ __forceinline__ int64_t advance(int64_t start) const { return Config::kBdl ? start : start * pitch_; }

  // Elements of a piece that exist.
  __device__ __forceinline__ int count_of(int piece, int steps) const {
    if constexpr (Config::kBdl) return clamp_count(steps - piece * kPart - column_, kPiece);
    return row_ + piece * kPart < steps ? channels_ : 0;
  }

  __device__ __forceinline__ bool hangs_over(int piece) const { return (overhangs_ >> piece & 1) != 0; }

  __device__ __forceinline__ void copy(unsigned char* array, const void* source, int64_t from) const {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) copy_piece<Config>(array + target_ + later_at(i), source, from + later(i));
    if (overhangs_ == 0) return;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      if (!hangs_over(i)) continue;
      copy_piece<Config>(array + target_ + later_at(i) + Config::kPieceBytes, source, from + later(i) + kPiece);
    }
  }

  // The last tile of a sequence, in loops: once a sequence, but code that everyone else has to make room for.
  __device__ __forceinline__ void copy_end(unsigned tile, int64_t from) const {
    const int64_t end = p_.batch * p_.dim * p_.seqlen;
#pragma unroll 1
    for (int a = 0; a < 3; ++a) {
      const void* const source = a == 0 ? p_.u : a == 1 ? p_.delta : p_.z;
      unsigned char* target = (a == 0 ? memory_.u(tile) : a == 1 ? memory_.delta(tile) : memory_.z(tile)) + target_;
      if (source == nullptr) continue;
#pragma unroll 1
      for (int i = 0; i < kPieces; ++i) {
        const int64_t at = from + later(i);
        copy_existing<Config>(target, source, at, end);
        if (hangs_over(i)) copy_existing<Config>(target + Config::kPieceBytes, source, at + kPiece, end);
        target += later_at(1);
      }
    }
  }

  template <bool kAligned>
  __device__ __forceinline__ void read(const unsigned char* array, int piece, float (&values)[kPiece]) const {
    read_piece<Config, kAligned>(array + at_ + later_at(piece), shifts_[piece], values);
  }

  template <bool kAligned>
  __device__ __forceinline__ void prepare_pieces(unsigned tile, int steps) const {
    float dt[kPieces * kPiece];
    float du[kPieces][kPiece];
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      float delta[kPiece];
      read<kAligned>(memory_.delta(tile), i, delta);
      read<kAligned>(memory_.u(tile), i, du[i]);
#pragma unroll
      for (int j = 0; j < kPiece; ++j) dt[i * kPiece + j] = delta[j] + values_[j % kChannels];
    }
    // What the exponential errs by there is relative to dt, and no state amplifies it.
    if (p_.delta_softplus) softplus<kPieces * kPiece, false>(dt);
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      float piece_dt[kPiece];
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        piece_dt[j] = dt[i * kPiece + j];
        du[i][j] *= piece_dt[j];
      }
      if (steps < kTile || channels_ < kChannels) {
        clear_beyond(count_of(i, steps), piece_dt);
        clear_beyond(count_of(i, steps), du[i]);
      }
      write_steps(memory_.dt(tile) + step_at_ + i * kPart, piece_dt);
      write_steps(memory_.du(tile) + step_at_ + i * kPart, du[i]);
    }
  }

  template <bool kAligned>
  __device__ __forceinline__ void finish_pieces(unsigned tile, int64_t start, int steps) const {
    Element* const out = static_cast<Element*>(p_.out) + first_ + advance(start);
    const bool gated = p_.z != nullptr;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      float u[kPiece];
      float z[kPiece];
      float y[kPiece];
      read<kAligned>(memory_.u(tile), i, u);
      if (gated) read<kAligned>(memory_.z(tile), i, z);
      sum_parts(memory_.sums(tile), i, y);
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        y[j] = fmaf(values_[j % kChannels], u[j], y[j]);
        if (gated) y[j] *= silu<Element>(z[j]);
      }
      if (kAligned && steps == kTile) {
        store_chunk(out + later(i), y);
      } else {
        store_elements(out + later(i), y, count_of(i, steps));
      }
    }
  }

  // A piece of [channel][step].
  static __device__ __forceinline__ void write_steps(float* steps, const float (&values)[kPiece]) {
    if constexpr (Config::kBdl) {
      store_shared(steps, values);
    } else {
#pragma unroll
      for (int j = 0; j < kPiece; ++j) steps[j * Config::kStepPitch] = values[j];
    }
  }

  // y of a piece: what the lanes of a channel have of it.
  __device__ __forceinline__ void sum_parts(const float* sums, int piece, float (&y)[kPiece]) const {
    using Vector = Chunk<float, 4>;
    if constexpr (Config::kBdl) {
      const float* const parts = sums + row_ * memory_.m.sum_pitch + column_ + piece * kPart;
      widen_chunk(reinterpret_cast<const Vector*>(parts), y);
#pragma unroll
      for (int lane = 1; lane < Config::kLanes; ++lane) {
        float part[kPiece];
        widen_chunk(reinterpret_cast<const Vector*>(parts + lane * Config::kStepPitch), part);
#pragma unroll
        for (int j = 0; j < kPiece; ++j) y[j] += part[j];
      }
    } else {
      // Lanes that are four steps apart begin with different halves: together they would meet in the same banks.
      const int step = row_ + piece * kPart;
      const float* const parts = sums + column_ * memory_.m.sum_pitch + step * Config::kLanes;
      const int half = step & 4;
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        float first[4];
        float second[4];
        widen_chunk(reinterpret_cast<const Vector*>(parts + j * memory_.m.sum_pitch + half), first);
        widen_chunk(reinterpret_cast<const Vector*>(parts + j * memory_.m.sum_pitch + (half ^ 4)), second);
        y[j] = (first[0] + first[1] + (first[2] + first[3])) + (second[0] + second[1] + (second[2] + second[3]));
      }
    }
  }

  const SelectiveScanParams& p_;
  const BlockPlace& place_;
  const BlockMemory& memory_;
  const int64_t pitch_;   // from one row to the next, in elements
  const int64_t origin_;  // of the block's first channel and the piece's first step
  bool aligned_;

  // What this thread copies: elements of device memory, bytes of an array.
  bool copies_;
  int64_t source_;
  int target_;
  unsigned overhangs_;  // a bit for each piece that has elements of the row after it, at the end of the row

  // What it computes: its first piece.
  int row_;
  int column_;
  int channels_;   // of a piece, that exist
  int64_t first_;  // element
  int at_;         // bytes, without the shift
  int shifts_[kPieces];
  int step_at_;  // floats
  float values_[kChannels];
};

}  // namespace selective_scan
