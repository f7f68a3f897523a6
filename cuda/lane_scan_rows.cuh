// u, delta, z and out of a warp's channels. Device memory is read and written once.
#pragma once

#include "lane_scan_config.cuh"

namespace selective_scan {

// Where a warp's rows lie. Kept in shared memory: in registers it would be idle during the walk, which has none to
// spare.
template <typename Config>
struct LaneRows {
  using Element = typename Config::Element;
  // Bytes of one copy to shared memory, and copies of a row.
  static constexpr int kCopy = Config::kRow * Config::kSize < 16 ? Config::kRow * Config::kSize : 16;
  static constexpr int kCopies = Config::kRow * Config::kSize / kCopy;
  // Rows that start anywhere are copied in such pieces too, which overhang: of an element's index, what lies beyond a
  // boundary then.
  static constexpr int64_t kShift = kCopy / Config::kSize - 1;
  static constexpr int kPerWord = 4 / Config::kSize;
  static constexpr int64_t kOdd = kPerWord - 1;
  static constexpr int kWords = Config::kRow * Config::kSize / 4;  // of a row
  static constexpr int kWordTurn = kWords < 32 ? 32 / kWords : 1;  // rows that a warp's lanes take at a time

  int64_t origin;     // of the warp's first channel and the piece's first step, in elements
  int64_t pitch;      // from one row to the next
  int64_t state_row;  // of the warp's first channel, among the states of all pieces
  int channels;       // that exist
  bool aligned;       // rows start on boundaries of a copy

  // `channel` is the warp's first, of which `existing` exist.
  __device__ __forceinline__ void place(const SelectiveScanParams& p, int64_t piece, const PieceSpan& span,
                                        int64_t channel, int existing) {
    channels = existing;
    state_row = piece * p.dim + channel;
    pitch = Config::kBdl ? p.seqlen : p.dim;
    origin = Config::kBdl ? (span.batch * p.dim + channel) * p.seqlen + span.start
                          : (span.batch * p.seqlen + span.start) * p.dim + channel;
    aligned = ((origin | pitch) & (kCopy / Config::kSize - 1)) == 0;
  }

  // The first of this lane's channel among the states of all pieces.
  __device__ __forceinline__ int64_t first_state(const SelectiveScanParams& p) const {
    return (state_row + Config::channel()) * p.dstate;
  }

  // Of the tile at `start`.
  __device__ __forceinline__ int64_t first(int64_t start) const {
    return origin + (Config::kBdl ? start : start * pitch);
  }

  // 'bdl': elements between the first of a channel, in every tile, and the boundary of a piece before it.
  __device__ __forceinline__ int beyond(int channel) const {
    return static_cast<int>((static_cast<unsigned>(origin) + channel * static_cast<unsigned>(pitch)) & kShift);
  }

  // Starts the copies of the tile at `start`.
  __device__ __forceinline__ void fetch(const SelectiveScanParams& p, int turn, int64_t start, int steps) const {
    const unsigned lane = fresh_thread() % 32;
    unsigned char* const arrays = memory(turn);
    const auto* u = static_cast<const Element*>(p.u);
    const auto* delta = static_cast<const Element*>(p.delta);
    const auto* z = static_cast<const Element*>(p.z);
    const bool whole = steps == Config::kTile && channels == Config::kWarpChannels;
    if (whole && (Config::kBdl || aligned)) {
      constexpr int kTurn = 32 / kCopies;  // rows; so many on, a row starts as far beyond a boundary
      const int row = lane / kCopies;
      // Read once, before the copies: from shared memory, which they write.
      const int64_t turn_pitch = kTurn * pitch;
      int64_t from = ((first(start) + row * pitch) & ~kShift) + lane % kCopies * (kCopy / Config::kSize);
      unsigned char* target = arrays + row * Config::kRowBytes + lane % kCopies * kCopy;
#pragma unroll
      for (int r = 0; r < Config::kRows; r += kTurn) {
        if (Config::kRows % kTurn == 0 || r + row < Config::kRows) {
          copy_piece(target, u + from);
          copy_piece(target + Config::kArrayBytes, delta + from);
          if (z != nullptr) copy_piece(target + 2 * Config::kArrayBytes, z + from);
        }
        from += turn_pitch;
        target += kTurn * Config::kRowBytes;
      }
      if (!aligned) fetch_ends(p, arrays, first(start) + lane * pitch, lane);
      return;
    }
    const Windows windows = {first(start), pitch, p.batch * p.dim * p.seqlen, Config::kBdl ? channels : steps,
                             Config::kBdl ? steps : channels};
#pragma unroll 1
    for (int array = 0; array < (z != nullptr ? 3 : 2); ++array) {
      windows.fetch<Element, kCopy, Config::kRow, Config::kRowBytes>(arrays + array * Config::kArrayBytes,
                                                                     array == 0   ? u
                                                                     : array == 1 ? delta
                                                                                  : z,
                                                                     lane, 32);
    }
  }

  static __device__ __forceinline__ void copy_piece(unsigned char* to, const Element* from) {
    if constexpr (kCopy == 16) {
      copy_async_line(to, from);
    } else {
      copy_async<kCopy>(to, from);
    }
  }

  // The last piece of a whole row that starts at `from`, between two boundaries.
  __device__ __forceinline__ void fetch_ends(const SelectiveScanParams& p, unsigned char* arrays, int64_t from,
                                             int row) const {
    if (row >= Config::kRows || (from & kShift) == 0) return;
    const int64_t at = (from & ~kShift) + Config::kRow;
    const int64_t left = p.batch * p.dim * p.seqlen - at;
    arrays += row * Config::kRowBytes + Config::kRow * Config::kSize;
#pragma unroll 1
    for (int array = 0; array < (p.z != nullptr ? 3 : 2); ++array) {
      const auto* const source = static_cast<const Element*>(array == 0 ? p.u : array == 1 ? p.delta : p.z) + at;
      if (left > kShift) {
        copy_async<kCopy>(arrays, source);
      } else {
#pragma unroll 1
        for (int i = 0; i < left; ++i) reinterpret_cast<Element*>(arrays)[i] = source[i];
      }
      arrays += Config::kArrayBytes;
    }
  }

  // Stores what OwnPlace::leave left in shared memory, word by word.
  __device__ __forceinline__ void flush(const SelectiveScanParams& p, int turn, int64_t start, int steps) const {
    __syncwarp();
    const int lane = fresh_thread() % 32;
    const int64_t from = first(start) + lane / kWords * pitch;
    const int odd = static_cast<int>(from & kOdd);
    const int word = lane % kWords;
    const int step = word * kPerWord - odd;  // the word's first; before the row's first where that is odd
    const int64_t turn_pitch = kWordTurn * pitch;
    auto* target = static_cast<Element*>(p.out) + from + step;
    const unsigned char* source = memory(turn) + lane / kWords * Config::kRowBytes;
    const bool whole = step >= 0 && step + kPerWord <= steps;
#pragma unroll 1
    for (int row = lane / kWords; row < channels; row += kWordTurn) {
      const auto* words = reinterpret_cast<const uint32_t*>(source);
      uint32_t value = words[word];
      if constexpr (kPerWord > 1) {
        if (odd != 0) value = value << 16 | words[word > 0 ? word - 1 : 0] >> 16;
      }
      if (whole) {
        *reinterpret_cast<uint32_t*>(target) = value;
      } else if constexpr (kPerWord > 1) {
        auto* const halves = reinterpret_cast<uint16_t*>(target);
        if (step >= 0 && step < steps) halves[0] = static_cast<uint16_t>(value);
        if (step + 1 < steps) halves[1] = static_cast<uint16_t>(value >> 16);
      }
      target += turn_pitch;
      source += kWordTurn * Config::kRowBytes;
    }
    if constexpr (kPerWord > 1) {
      const int64_t last = first(start) + lane * pitch + Config::kTile - 1;
      if (lane < channels && (last & kOdd) == 0 && steps == Config::kTile) {
        static_cast<Element*>(p.out)[last] =
            reinterpret_cast<const Element*>(memory(turn) + lane * Config::kRowBytes)[Config::kTile - 1];
      }
    }
  }

  // Of the warp: u, delta and z of tile `turn`.
  static __device__ __forceinline__ unsigned char* memory(int turn) {
    return block_memory() + Config::kRowsAt + (fresh_thread() / 32 * 2 + turn) * 3 * Config::kArrayBytes;
  }
};

}  // namespace selective_scan
