// B and C of a specialised scan: fetched by the preparers and widened to float32 by the finishers.
#pragma once

#include "specialized_scan_config.cuh"

namespace selective_scan {

template <typename Config>
class SpecializedMatrices {
  using Element = typename Config::Element;
  static constexpr int kPiece = Config::kPiece;
  // Half a tile, or a whole one of float32: the pieces of a thread are as many steps apart.
  static constexpr int kPieces = Config::kPieces;
  static constexpr int kPart = Config::kTile / kPieces;
  static constexpr int kRows = Config::kBdl ? Config::kCapacity : kPart;
  static constexpr int kRow = Config::kBdl ? kPart : Config::kCapacity;
  static constexpr int kRowPieces = kRow / kPiece;
  static constexpr int kCount = kRows * kRowPieces;  // threads' worth of work for one of the two

 public:
  // `thread` is of the preparers' or of the finishers'.
  __device__ __forceinline__ SpecializedMatrices(const SelectiveScanParams& p, const BlockPlace& place,
                                                 const BlockMemory& memory, int thread)
      : p_(p),
        place_(place),
        memory_(memory),
        thread_(thread),
        threads_(32 * memory.m.preparers),
        states_(static_cast<int>(p.dstate)),
        pitch_(Config::kBdl ? p.seqlen : p.groups * p.dstate),
        origin_(Config::kBdl ? (place.span.batch * p.groups + place.group) * p.dstate * p.seqlen + place.span.start
                             : (place.span.batch * p.seqlen + place.span.start) * pitch_ + place.group * p.dstate) {
    aligned_ = (origin_ | pitch_) % kPiece == 0;
  }

  // Starts the copies of the tile at step `start` of the piece of time.
  __device__ __forceinline__ void fetch(unsigned tile, int64_t start) const {
    // In 'bld' a piece beyond the states that exist may be beyond the array.
    if (is_inside<Config>(place_, start, aligned_) && (Config::kBdl || states_ == Config::kCapacity)) {
      copy<true>(tile, start);
    } else {
      copy<false>(tile, start);
    }
  }

  // To float32. States and steps that do not exist become 0.
  __device__ __forceinline__ void widen(unsigned tile, int steps) const {
    if (aligned_) {
      widen_pieces<true>(tile, steps);
    } else {
      widen_pieces<false>(tile, steps);
    }
  }

 private:
  __device__ __forceinline__ int shift_of(int row) const {
    return static_cast<int>((origin_ + row * pitch_) & (kPiece - 1));
  }

  static __device__ __forceinline__ int row_of(int row, int piece) { return row + (Config::kBdl ? 0 : piece * kPart); }

  // Bytes of a matrix, and from a thread's first piece to another, also in elements of device memory.
  __device__ __forceinline__ int at(int row, int column) const {
    return row * memory_.m.matrix_row_bytes + column * Config::kSize;
  }
  __device__ __forceinline__ int later_at(int piece) const {
    return piece * kPart * (Config::kBdl ? Config::kSize : memory_.m.matrix_row_bytes);
  }
  __device__ __forceinline__ int64_t later(int piece) const {
    return Config::kBdl ? piece * kPart : piece * kPart * pitch_;
  }

  // Elements of a piece that exist.
  __device__ __forceinline__ int count_of(int row, int column, int piece, int steps) const {
    if constexpr (Config::kBdl) return row < states_ ? clamp_count(steps - column - piece * kPart, kPiece) : 0;
    return row + piece * kPart < steps ? clamp_count(states_ - column, kPiece) : 0;
  }

  template <bool kInside>
  __device__ __forceinline__ void copy(unsigned tile, int64_t start) const {
    const int64_t from = origin_ + (Config::kBdl ? start : start * pitch_);
    const int64_t end = p_.batch * p_.groups * p_.dstate * p_.seqlen;
    const int columns = Config::kBdl ? kRow : states_;
    const auto copy_piece_of = [&](unsigned char* target, const void* array, int64_t at) {
      if constexpr (kInside) {
        copy_piece<Config>(target, array, at);
      } else {
        copy_existing<Config>(target, array, at, end);
      }
    };
    constexpr int kUnrolled = kInside ? 2 : 1;
#pragma unroll kUnrolled
    for (int i = thread_; i < 2 * kCount; i += threads_) {
      const int row = i % kCount / kRowPieces;
      const int column = i % kRowPieces * kPiece;
      if ((Config::kBdl ? row : column) >= states_) continue;
      const void* const array = i < kCount ? p_.B : p_.C;
      unsigned char* const target = memory_.matrix(tile, i / kCount) + at(row, column);
      const int64_t source = from + row * pitch_ + column;
      constexpr int kPiecesUnrolled = kInside ? kPieces : 1;
#pragma unroll kPiecesUnrolled
      for (int k = 0; k < kPieces; ++k) {
        const int shift = aligned_ ? 0 : shift_of(row_of(row, k));
        copy_piece_of(target + later_at(k), array, source + later(k) - shift);
        // Over the end of the row, which in 'bdl' is past a thread's last piece.
        if (shift == 0 || column + kPiece < columns || (Config::kBdl && k + 1 < kPieces)) continue;
        copy_piece_of(target + later_at(k) + Config::kPieceBytes, array, source + later(k) - shift + kPiece);
      }
    }
  }

  template <bool kAligned>
  __device__ __forceinline__ void widen_pieces(unsigned tile, int steps) const {
#pragma unroll 2
    for (int i = thread_; i < 2 * kCount; i += threads_) {
      const int row = i % kCount / kRowPieces;
      const int column = i % kRowPieces * kPiece;
      const unsigned char* const source = memory_.matrix(tile, i / kCount) + at(row, column);
      float* const wide = memory_.wide(tile, i / kCount);
#pragma unroll
      for (int k = 0; k < kPieces; ++k) {
        float values[kPiece];
        read_piece<Config, kAligned>(source + later_at(k), kAligned ? 0 : shift_of(row_of(row, k)), values);
        if (steps < Config::kTile || states_ < Config::kCapacity) clear_beyond(count_of(row, column, k, steps), values);
        if constexpr (Config::kBdl) {
          // The even states first, so that the rows that the lanes of a walker read together are in different banks.
          const int at = row % 2 * Config::kLanes + row / 2;
          store_shared(wide + at * Config::kWidePitch + column + k * kPart, values);
        } else {
          // Two pairs of states of one step.
          float* const pairs = wide + column / 2 * Config::kWidePitch + 2 * (row + k * kPart);
          store_shared(pairs, {values[0], values[1]});
          store_shared(pairs + Config::kWidePitch, {values[2], values[3]});
        }
      }
    }
  }

  const SelectiveScanParams& p_;
  const BlockPlace& place_;
  const BlockMemory& memory_;
  const int thread_;
  const int threads_;
  const int states_;
  const int64_t pitch_;   // from one row to the next, in elements
  const int64_t origin_;  // of the first state and the piece's first step
  bool aligned_;
};

}  // namespace selective_scan
