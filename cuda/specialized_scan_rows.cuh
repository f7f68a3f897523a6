// u, delta, z and out of a specialised scan, for the steps of one preparer.
#pragma once

#include "specialized_scan_pieces.cuh"

namespace selective_scan {

// Preparers wait for instructions rather than for memory. So a whole span, the usual one, goes without predicates or
// branches, by pieces whose places a lane knows beforehand; it then reads only what it has copied itself. A span is
// whole if all its steps exist, its rows are aligned, and each piece is of channels that exist or of none.
template <typename Config>
class SpecializedRows {
  using Element = typename Config::Element;
  using Piece = Chunk<Element, Config::kPiece>;
  using Pieces = LanePieces<Config>;
  static constexpr int kPiece = Config::kPiece;
  static constexpr int kTurns = Pieces::kTurns;

 public:
  // `memory` is the preparer's, `offset` its first step of a tile.
  __device__ __forceinline__ SpecializedRows(const SelectiveScanParams& p, const BlockPlace& place,
                                             unsigned char* memory, int offset)
      : p_(p),
        memory_(memory),
        offset_(offset),
        channels_(place.channels),
        pitch_(Config::kBdl ? p.seqlen : p.dim),
        origin_(Config::kBdl ? (place.span.batch * p.dim + place.first_channel) * p.seqlen + place.span.start
                             : (place.span.batch * p.seqlen + place.span.start) * p.dim + place.first_channel),
        pieces_(channels_, pitch_) {
    const int64_t boundaries = origin_ | pitch_ | (Config::kBdl ? 0 : channels_);
    aligned_ = boundaries % kPiece == 0;
  }

  // Starts the copies of the span at step `start` of the piece of time, of which `steps` exist.
  __device__ __forceinline__ void fetch(unsigned tile, int64_t start, int steps) const {
    if (steps == 0) return;
    const int64_t from = first(start);
    if (whole(steps)) {
      fetch_pieces(p_.u, u_at(tile), from);
      fetch_pieces(p_.delta, delta_at(tile), from);
      if (p_.z != nullptr) fetch_pieces(p_.z, z_at(tile), from);
      return;
    }
    fetch_windows(p_.u, u_at(tile), from, steps);
    fetch_windows(p_.delta, delta_at(tile), from, steps);
    if (p_.z != nullptr) fetch_windows(p_.z, z_at(tile), from, steps);
  }

  // dt and dt * u of the span.
  __device__ __forceinline__ void prepare(unsigned tile, int64_t start, int steps) const {
    if (!whole(steps)) {
      prepare_pieces<false>(tile, start, steps, p_.delta_softplus);
    } else if (p_.delta_softplus) {
      prepare_pieces<true>(tile, start, steps, true);
    } else {
      prepare_pieces<true>(tile, start, steps, false);
    }
  }

  // From y of the span to out.
  __device__ __forceinline__ void finish(unsigned tile, int64_t start, int steps) const {
    if (!whole(steps)) {
      finish_pieces<false>(tile, start, steps, p_.z != nullptr);
    } else if (p_.z != nullptr) {
      finish_pieces<true>(tile, start, steps, true);
    } else {
      finish_pieces<true>(tile, start, steps, false);
    }
  }

 private:
  // In elements, of the first row of the span.
  __device__ __forceinline__ int64_t first(int64_t start) const {
    return origin_ + (Config::kBdl ? start : start * pitch_);
  }

  __device__ __forceinline__ bool whole(int steps) const { return aligned_ && steps == Config::kSpan; }

  __device__ __forceinline__ void fetch_pieces(const void* array, unsigned char* target, int64_t from) const {
    const auto* source = static_cast<const unsigned char*>(array) + from * Config::kSize;
    const int lane = fresh_thread() % 32;
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      if (!Pieces::has_piece(lane, turn)) break;
      copy_async<Config::kPieceBytes>(target + pieces_.slots[turn], source + pieces_.places[turn]);
    }
  }

  __device__ __forceinline__ void fetch_windows(const void* array, unsigned char* target, int64_t from,
                                                int steps) const {
    const Windows windows = {from, pitch_, p_.batch * p_.dim * p_.seqlen, Config::kBdl ? channels_ : steps,
                             Config::kBdl ? steps : channels_};
    windows.fetch<Element, Config::kPieceBytes, Config::kRow, Config::kRowBytes>(
        target, static_cast<const Element*>(array), fresh_thread() % 32, 32);
  }

  // A piece of an array. In rows that are not aligned, elements lie as Windows has shifted them; those of `count` that
  // do not exist become 0.
  template <bool kWhole>
  static __device__ __forceinline__ void read(const unsigned char* from, int count, float (&values)[kPiece]) {
    if constexpr (kWhole) {
      widen_chunk(reinterpret_cast<const Piece*>(from), values);
    } else {
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        values[j] = j < count ? static_cast<float>(reinterpret_cast<const Element*>(from)[j]) : 0.0f;
      }
    }
  }

  // Bytes from the start of an array to a piece.
  template <bool kWhole>
  __device__ __forceinline__ int piece_at(int turn, int row, int column, int64_t start) const {
    if constexpr (kWhole) return pieces_.slots[turn];
    const int shift = static_cast<int>((first(start) + row * pitch_) & (kPiece - 1));
    return Pieces::slot_of(row, column + shift);
  }

  template <bool kWhole>
  __device__ __forceinline__ int step_at(int turn, int row, int column) const {
    return kWhole ? pieces_.steps[turn] : Pieces::step_of(row, column);
  }

  // Elements of a piece that exist, or more.
  __device__ __forceinline__ int count_of(int row, int column, int steps) const {
    const int rows = Config::kBdl ? channels_ : steps;
    const int columns = Config::kBdl ? steps : channels_;
    return row < rows ? columns - column : 0;
  }

  // Called with a constant where it counts: a branch in each turn would keep turns from running side by side.
  template <bool kWhole>
  __device__ __forceinline__ void prepare_pieces(unsigned tile, int64_t start, int steps, bool delta_softplus) const {
    constexpr int kUnroll = kWhole ? kTurns : 1;
    const int lane = fresh_thread() % 32;
    float* const dt = Config::dt(tile) + offset_;
    float* const du = Config::du(tile) + offset_;
#pragma unroll kUnroll
    for (int turn = 0; turn < kTurns; ++turn) {
      if (!Pieces::has_piece(lane, turn)) break;
      const int row = Pieces::row_of(lane, turn);
      const int column = Pieces::column_of(lane, turn);
      const int at = piece_at<kWhole>(turn, row, column, start);
      const int count = count_of(row, column, steps);
      float values[kPiece];
      float products[kPiece];
      float bias[kPiece];
      read<kWhole>(delta_at(tile) + at, count, values);
      read<kWhole>(u_at(tile) + at, count, products);
      of_channels(Config::bias(), row, column, bias);
#pragma unroll
      for (int j = 0; j < kPiece; ++j) values[j] += bias[j];
      if (delta_softplus) softplus<kPiece, Config::kSize == 4>(values);
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        // Steps that do not exist leave the states as they are.
        if (!kWhole && j >= count) values[j] = 0.0f;
        products[j] *= values[j];
      }
      const int step = step_at<kWhole>(turn, row, column);
      write_steps(dt + step, values);
      write_steps(du + step, products);
    }
  }

  template <bool kWhole>
  __device__ __forceinline__ void finish_pieces(unsigned tile, int64_t start, int steps, bool gated) const {
    constexpr int kUnroll = kWhole ? kTurns : 1;
    const int lane = fresh_thread() % 32;
    const float* const sums = Config::sums(tile) + offset_;
    unsigned char* const out = static_cast<unsigned char*>(p_.out) + first(start) * Config::kSize;
#pragma unroll kUnroll
    for (int turn = 0; turn < kTurns; ++turn) {
      if (!Pieces::has_piece(lane, turn)) break;
      const int row = Pieces::row_of(lane, turn);
      const int column = Pieces::column_of(lane, turn);
      const int at = piece_at<kWhole>(turn, row, column, start);
      const int count = count_of(row, column, steps);
      float u[kPiece];
      float D[kPiece];
      float y[kPiece];
      read<kWhole>(u_at(tile) + at, count, u);
      of_channels(Config::D(), row, column, D);
      read_steps(sums + step_at<kWhole>(turn, row, column), y);
#pragma unroll
      for (int j = 0; j < kPiece; ++j) y[j] = fmaf(D[j], u[j], y[j]);
      if (gated) {
        float z[kPiece];
        read<kWhole>(z_at(tile) + at, count, z);
#pragma unroll
        for (int j = 0; j < kPiece; ++j) y[j] *= silu<Element>(z[j]);
      }
      if constexpr (kWhole) {
        auto* const target = reinterpret_cast<Element*>(out + pieces_.places[turn]);
        if (pieces_.exists(turn)) store_chunk(target, y);
      } else {
        auto* const target = reinterpret_cast<Element*>(out) + (row * pitch_ + column);
        store_elements(target, y, count);
      }
    }
  }

  // The values of a piece's channels: one of 'bdl', else as many as elements.
  static __device__ __forceinline__ void of_channels(const float* channels, int row, int column,
                                                     float (&values)[kPiece]) {
    if constexpr (Config::kBdl) {
#pragma unroll
      for (int j = 0; j < kPiece; ++j) values[j] = channels[row];
    } else {
      widen_chunk(reinterpret_cast<const Chunk<float, kPiece>*>(channels + column), values);
    }
  }

  // A piece of [channel][step].
  static __device__ __forceinline__ void write_steps(float* steps, const float (&values)[kPiece]) {
    if constexpr (Config::kBdl) {
      store_chunk(steps, values);
    } else {
#pragma unroll
      for (int j = 0; j < kPiece; ++j) steps[j * Config::kStepPitch] = values[j];
    }
  }

  static __device__ __forceinline__ void read_steps(const float* steps, float (&values)[kPiece]) {
    if constexpr (Config::kBdl) {
      widen_chunk(reinterpret_cast<const Chunk<float, kPiece>*>(steps), values);
    } else {
#pragma unroll
      for (int j = 0; j < kPiece; ++j) values[j] = steps[j * Config::kStepPitch];
    }
  }

  __device__ __forceinline__ unsigned char* u_at(unsigned tile) const {
    return memory_ + tile % Config::kLongSlots * Config::kArrayBytes;
  }
  __device__ __forceinline__ unsigned char* z_at(unsigned tile) const { return u_at(tile) + Config::kZAt; }
  __device__ __forceinline__ unsigned char* delta_at(unsigned tile) const {
    return memory_ + Config::kDeltaAt + tile % Config::kShortSlots * Config::kArrayBytes;
  }

  const SelectiveScanParams& p_;
  unsigned char* const memory_;
  const int offset_;
  const int channels_;    // that exist
  const int64_t pitch_;   // from one row to the next, in elements
  const int64_t origin_;  // of the block's first channel and the piece's first step
  const Pieces pieces_;
  bool aligned_;
};

}  // namespace selective_scan
