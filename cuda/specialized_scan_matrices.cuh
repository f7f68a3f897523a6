// B and C of a specialised scan, for the steps of one preparer.
#pragma once

#include "specialized_scan_config.cuh"

namespace selective_scan {

// As with SpecializedRows, the usual span is whole: aligned, of existing steps, and with as many states as there is
// room for.
template <typename Config>
class SpecializedMatrices {
  using Element = typename Config::Element;
  static constexpr int kPiece = Config::kPiece;
  static constexpr int kRowPieces = Config::kMatrixRow / kPiece;
  static constexpr int kPieces = Config::kMatrixRows * kRowPieces;

 public:
  // `memory` is the preparer's, `offset` its first step of a tile.
  __device__ __forceinline__ SpecializedMatrices(const SelectiveScanParams& p, const BlockPlace& place,
                                                 unsigned char* memory, int offset)
      : p_(p),
        memory_(memory),
        offset_(offset),
        states_(static_cast<int>(p.dstate)),
        pitch_(Config::kBdl ? p.seqlen : p.groups * p.dstate),
        origin_(Config::kBdl ? (place.span.batch * p.groups + place.group) * p.dstate * p.seqlen + place.span.start
                             : (place.span.batch * p.seqlen + place.span.start) * pitch_ + place.group * p.dstate) {
    aligned_ = (origin_ | pitch_) % kPiece == 0;
  }

  // Starts the copies of the span at step `start` of the piece of time, of which `steps` exist.
  __device__ __forceinline__ void fetch(unsigned tile, int64_t start, int steps) const {
    if (steps == 0) return;
    const int64_t from = first(start);
    const auto* B = static_cast<const Element*>(p_.B);
    const auto* C = static_cast<const Element*>(p_.C);
    if (whole(steps)) {
      const int lane = fresh_thread() % 32;
      const int column = lane % kRowPieces * kPiece;
      int64_t source = from + (lane / kRowPieces * pitch_ + column);
#pragma unroll
      for (int turn = 0; turn < kPieces; turn += 32) {
        if (kPieces % 32 != 0 && turn + lane >= kPieces) break;
        const int row = lane / kRowPieces + turn / kRowPieces;
        const int target = row * Config::kMatrixRowBytes + column * Config::kSize;
        copy_async<Config::kPieceBytes>(at(tile, 0) + target, B + source);
        copy_async<Config::kPieceBytes>(at(tile, 1) + target, C + source);
        source += 32 / kRowPieces * pitch_;
      }
      return;
    }
    const Windows windows = {from, pitch_, p_.batch * p_.groups * p_.dstate * p_.seqlen, Config::kBdl ? states_ : steps,
                             Config::kBdl ? steps : states_};
#pragma unroll 1
    for (int m = 0; m < 2; ++m) {
      windows.fetch<Element, Config::kPieceBytes, Config::kMatrixRow, Config::kMatrixRowBytes>(
          at(tile, m), m == 0 ? B : C, fresh_thread() % 32, 32);
    }
  }

  // To float32. States and steps that do not exist become 0.
  __device__ __forceinline__ void widen(unsigned tile, int64_t start, int steps) const {
    if (whole(steps)) {
      widen_pieces<true>(tile, start, steps);
    } else {
      widen_pieces<false>(tile, start, steps);
    }
  }

 private:
  static_assert(32 % kRowPieces == 0, "a turn of the lanes is whole rows");

  // In elements, of the first row of the span.
  __device__ __forceinline__ int64_t first(int64_t start) const {
    return origin_ + (Config::kBdl ? start : start * pitch_);
  }

  __device__ __forceinline__ bool whole(int steps) const {
    return aligned_ && steps == Config::kSpan && states_ == Config::kCapacity;
  }

  template <bool kWhole>
  __device__ __forceinline__ void widen_pieces(unsigned tile, int64_t start, int steps) const {
    constexpr int kUnroll = kWhole ? (kPieces + 31) / 32 : 1;
    const int rows = Config::kBdl ? states_ : steps;
    const int columns = Config::kBdl ? steps : states_;
    const int lane = fresh_thread() % 32;
    const int column = lane % kRowPieces * kPiece;
#pragma unroll kUnroll
    for (int turn = 0; turn < kPieces; turn += 32) {
      if (kPieces % 32 != 0 && turn + lane >= kPieces) break;
      const int row = lane / kRowPieces + turn / kRowPieces;
      const int shift = kWhole ? 0 : static_cast<int>((first(start) + row * pitch_) & (kPiece - 1));
      const int from = row * Config::kMatrixRowBytes + (shift + column) * Config::kSize;
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const unsigned char* const source = at(tile, m) + from;
        float values[kPiece];
        if constexpr (kWhole) {
          widen_chunk(reinterpret_cast<const Chunk<Element, kPiece>*>(source), values);
        } else {
#pragma unroll
          for (int j = 0; j < kPiece; ++j) {
            const bool exists = row < rows && column + j < columns;
            values[j] = exists ? static_cast<float>(reinterpret_cast<const Element*>(source)[j]) : 0.0f;
          }
        }
        write(Config::wide(tile, m), row, column, values);
      }
    }
  }

  __device__ __forceinline__ void write(float* wide, int row, int column, const float (&values)[kPiece]) const {
    constexpr int kPitch = Config::kWidePitch;
    const int state = Config::kBdl ? row : column;
    const int step = offset_ + (Config::kBdl ? column : row);
    float* const target = wide + (Config::kStepMajor ? step * kPitch + state : state * kPitch + step);
    if constexpr (Config::kStepMajor != Config::kBdl) {
      store_chunk(target, values);
    } else {
#pragma unroll
      for (int j = 0; j < kPiece; ++j) target[j * kPitch] = values[j];
    }
  }

  // B (0) or C (1) as fetched.
  __device__ __forceinline__ unsigned char* at(unsigned tile, int m) const {
    return memory_ + Config::kMatricesAt + (tile % Config::kShortSlots * 2 + m) * Config::kMatrixBytes;
  }

  const SelectiveScanParams& p_;
  unsigned char* const memory_;
  const int offset_;
  const int states_;
  const int64_t pitch_;   // from one row to the next, in elements
  const int64_t origin_;  // of the first state and the piece's first step
  bool aligned_;
};

}  // namespace selective_scan
