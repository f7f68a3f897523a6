// u, delta, z and out of a warp's channels. Device memory is read and written once.
#pragma once

#include "lane_scan_config.cuh"

namespace selective_scan {

// What a lane prepares and finishes of a group of steps.
template <typename Config>
struct OwnSteps {
  float u[Config::kOwn];
  float delta[Config::kOwn];
  float z[Config::kOwn];
};

// Where a warp's rows lie. Kept in shared memory: in registers it would be idle during the walk, which has none to
// spare.
template <typename Config>
struct LaneRows {
  using Element = typename Config::Element;
  // Bytes of one copy to shared memory, and copies of a row.
  static constexpr int kCopy = Config::kRow * Config::kSize < 16 ? Config::kRow * Config::kSize : 16;
  static constexpr int kCopies = Config::kRow * Config::kSize / kCopy;
  // Rows of 'bdl' that start anywhere are copied word by word, others in such pieces: of an element's index, what lies
  // beyond a boundary then.
  static constexpr int kPerWord = 4 / Config::kSize;
  static constexpr int64_t kOdd = kPerWord - 1;
  static constexpr int64_t kShift = Config::kBdl ? kOdd : kCopy / Config::kSize - 1;
  static constexpr int kWords = Config::kRow * Config::kSize / 4;  // of a row
  static constexpr int kWordTurn = kWords < 32 ? 32 / kWords : 1;  // rows that a warp's lanes take at a time

  int64_t origin;     // of the warp's first channel and the piece's first step, in elements
  int64_t pitch;      // from one row to the next
  int64_t state_row;  // of the warp's first channel, among the states of all pieces
  int channels;       // that exist
  bool aligned;       // rows start on boundaries of a copy

  // `channel` is the warp's first, of which `existing` exist; `first` is the first step of the piece, in the batch
  // entry.
  __device__ __forceinline__ LaneRows& place(const SelectiveScanParams& p, int64_t piece, int64_t batch, int64_t first,
                                             int64_t channel, int existing) {
    channels = existing;
    state_row = piece * p.dim + channel;
    pitch = Config::kBdl ? p.seqlen : p.dim;
    origin = Config::kBdl ? (batch * p.dim + channel) * p.seqlen + first : (batch * p.seqlen + first) * p.dim + channel;
    aligned = ((origin | pitch) & (kCopy / Config::kSize - 1)) == 0;
    return *this;
  }

  // The first of this lane's channel among the states of all pieces.
  __device__ __forceinline__ int64_t first_state(const SelectiveScanParams& p) const {
    return (state_row + Config::channel()) * p.dstate;
  }

  // Of the tile at `start`.
  __device__ __forceinline__ int64_t first(int64_t start) const {
    return origin + (Config::kBdl ? start : start * pitch);
  }

  // 'bdl': elements between the first of a channel, in every tile, and the boundary of a word before it.
  __device__ __forceinline__ int odd(int channel) const { return static_cast<int>((origin + channel * pitch) & kOdd); }

  // Starts the copies of the tile at `start`.
  __device__ __forceinline__ void fetch(const SelectiveScanParams& p, int turn, int64_t start, int steps) const {
    const unsigned lane = fresh_thread() % 32;
    unsigned char* const arrays = memory(turn);
    const auto* u = static_cast<const Element*>(p.u);
    const auto* delta = static_cast<const Element*>(p.delta);
    const auto* z = static_cast<const Element*>(p.z);
    const bool whole = steps == Config::kTile && channels == Config::kWarpChannels;
    if (aligned && whole) {
      constexpr int kTurn = 32 / kCopies;  // rows
      const int row = lane / kCopies;
      // Read once, before the copies: from shared memory, which they write.
      const int64_t turn_pitch = kTurn * pitch;
      int64_t from = first(start) + row * pitch + lane % kCopies * (kCopy / Config::kSize);
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
      return;
    }
    if (Config::kBdl && whole) {
      fetch_words(p, arrays, first(start), lane);
      return;
    }
    const Windows windows = {first(start), pitch, p.batch * p.dim * p.seqlen, Config::kBdl ? channels : steps,
                             Config::kBdl ? steps : channels};
#pragma unroll 1
    for (int array = 0; array < (z != nullptr ? 3 : 2); ++array) {
      windows.fetch<Element, Config::kBdl ? 4 : kCopy, Config::kRow, Config::kRowBytes>(
          arrays + array * Config::kArrayBytes,
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

  // Whole rows word by word, `from` being the first element of the first row. An even number of rows on, a row starts
  // as far beyond a boundary.
  __device__ __forceinline__ void fetch_words(const SelectiveScanParams& p, unsigned char* arrays, int64_t from,
                                              int lane) const {
    const auto* u = static_cast<const Element*>(p.u);
    const auto* delta = static_cast<const Element*>(p.delta);
    const auto* z = static_cast<const Element*>(p.z);
    const int64_t turn_pitch = kWordTurn * pitch;
    int64_t at = ((from + lane / kWords * pitch) & ~kOdd) + lane % kWords * kPerWord;
    unsigned char* target = arrays + lane / kWords * Config::kRowBytes + lane % kWords * 4;
#pragma unroll 1
    for (int row = lane / kWords; row < Config::kRows; row += kWordTurn) {
      copy_async<4>(target, u + at);
      copy_async<4>(target + Config::kArrayBytes, delta + at);
      if (z != nullptr) copy_async<4>(target + 2 * Config::kArrayBytes, z + at);
      at += turn_pitch;
      target += kWordTurn * Config::kRowBytes;
    }
    if constexpr (kPerWord > 1) {
      // A row that starts between two boundaries ends in one word more.
      at = from + lane * pitch + Config::kTile - 1;
      if (lane >= Config::kRows || (at & kOdd) != 0) return;
      target = arrays + lane * Config::kRowBytes + Config::kTile * Config::kSize;
      const bool within = at + kPerWord <= p.batch * p.dim * p.seqlen;
      const auto copy = [&](unsigned char* to, const Element* array) {
        if (within) {
          copy_async<4>(to, array + at);
        } else {
          *reinterpret_cast<Element*>(to) = array[at];
        }
      };
      copy(target, u);
      copy(target + Config::kArrayBytes, delta);
      if (z != nullptr) copy(target + 2 * Config::kArrayBytes, z);
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

// The steps of its channel that a lane prepares and finishes, group after group.
template <typename Config>
class OwnPlace {
  using Element = typename Config::Element;
  static constexpr int kOwn = Config::kOwn;
  // 'bdl': a lane moves its steps as such vectors.
  static constexpr int kVector = kOwn < Config::kVector ? kOwn : Config::kVector;

 public:
  __device__ __forceinline__ OwnPlace(const SelectiveScanParams& p, const LaneRows<Config>& rows)
      : aligned_(rows.aligned), exists_(Config::channel() < rows.channels) {
    const int64_t first = rows.origin + (Config::kBdl ? Config::channel() * rows.pitch + step()
                                                      : step() * rows.pitch + Config::channel());
    out_ = static_cast<Element*>(p.out) + first;
    const int row = Config::kBdl ? Config::channel() : step();
    const int column = Config::kBdl ? step() : Config::channel();
    at_ = static_cast<int>(LaneRows<Config>::memory(0) - block_memory()) + row * Config::kRowBytes +
          column * Config::kSize;
  }

  __device__ __forceinline__ bool exists() const { return exists_; }

  // The group at step `t` of the tile at `start`.
  __device__ __forceinline__ void read(const SelectiveScanParams& p, const LaneRows<Config>& rows, int turn,
                                       int64_t start, int t, OwnSteps<Config>& own) const {
    const unsigned char* from = block_memory() + at(turn, t);
    if constexpr (Config::kBdl && kVector > 1) {
      if (aligned_ || Config::kSize == 4) {
        read_vectors(from, own.u);
        read_vectors(from + Config::kArrayBytes, own.delta);
        if (p.z != nullptr) read_vectors(from + 2 * Config::kArrayBytes, own.z);
      } else {
        const int odd = rows.odd(Config::channel());
        read_words(from, odd, own.u);
        read_words(from + Config::kArrayBytes, odd, own.delta);
        if (p.z != nullptr) read_words(from + 2 * Config::kArrayBytes, odd, own.z);
      }
      return;
    }
    if (Config::kBdl) {
      const int odd = rows.odd(Config::channel());
      read_elements(p, from, [&](int) { return odd; }, own);
    } else if (aligned_) {
      read_elements(p, from, [](int) { return 0; }, own);
    } else {
      const int64_t first = rows.first(start) + (t + step()) * rows.pitch;
      const auto shift = [&](int i) { return static_cast<int>((first + i * rows.pitch) & LaneRows<Config>::kShift); };
      read_elements(p, from, shift, own);
    }
  }

  // Whether a tile's steps are stored group by group; else they are left in shared memory for LaneRows::flush.
  __device__ __forceinline__ bool direct(int steps) const {
    return !Config::kBdl || (aligned_ && steps == Config::kTile);
  }

  // Stores a group and goes on to the next, where `steps` of the tile exist.
  __device__ __forceinline__ void store(const SelectiveScanParams& p, const float (&values)[kOwn], int t, int steps) {
    if (exists_) {
      if constexpr (Config::kBdl) {
#pragma unroll
        for (int i = 0; i < kOwn; i += kVector) store_vector(out_ + i, values + i);
      } else {
        Element* target = out_;
#pragma unroll
        for (int i = 0; i < kOwn; ++i) {
          if (t + step() + i < steps) *target = narrow<Element>(values[i]);
          target += p.dim;
        }
      }
    }
    out_ += Config::kBdl ? Config::kGroup : Config::kGroup * p.dim;
  }

  // In the place of u.
  __device__ __forceinline__ void leave(const float (&values)[kOwn], int turn, int t) {
    auto* const target = reinterpret_cast<Element*>(block_memory() + at(turn, t));
#pragma unroll
    for (int i = 0; i < kOwn; i += kVector) store_vector(target + i, values + i);
    out_ += Config::kGroup;
  }

  // Of a group, the first of this lane.
  static __device__ __forceinline__ int step() { return Config::lane_of_channel() * kOwn; }

 private:
  __device__ __forceinline__ int at(int turn, int t) const {
    return at_ + turn * 3 * Config::kArrayBytes + t * (Config::kBdl ? Config::kSize : Config::kRowBytes);
  }

  static __device__ __forceinline__ float value(const unsigned char* from) {
    return static_cast<float>(*reinterpret_cast<const Element*>(from));
  }

  template <typename Shift>
  static __device__ __forceinline__ void read_elements(const SelectiveScanParams& p, const unsigned char* from,
                                                       Shift shift, OwnSteps<Config>& own) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const unsigned char* element =
          from + i * (Config::kBdl ? Config::kSize : Config::kRowBytes) + shift(i) * Config::kSize;
      own.u[i] = value(element);
      own.delta[i] = value(element + Config::kArrayBytes);
      if (p.z != nullptr) own.z[i] = value(element + 2 * Config::kArrayBytes);
    }
  }

  static __device__ __forceinline__ void read_vectors(const unsigned char* from, float (&values)[kOwn]) {
#pragma unroll
    for (int i = 0; i < kOwn; i += kVector) {
      float vector[kVector];
      widen_chunk(reinterpret_cast<const Chunk<Element, kVector>*>(from + i * Config::kSize), vector);
#pragma unroll
      for (int j = 0; j < kVector; ++j) values[i + j] = vector[j];
    }
  }

  // The same of a row that may start between two boundaries.
  static __device__ __forceinline__ void read_words(const unsigned char* from, int odd, float (&values)[kOwn]) {
    if constexpr (Config::kSize == 2 && kOwn > 1) {
      Chunk<Element, kOwn> chunk = *reinterpret_cast<const Chunk<Element, kOwn>*>(from);
      const uint32_t next = *reinterpret_cast<const uint32_t*>(from + sizeof(chunk));
      shift_chunk(chunk, next, odd);
      widen_chunk(&chunk, values);
    }
  }

  static __device__ __forceinline__ void store_vector(Element* target, const float* values) {
    if constexpr (kVector * Config::kSize < 4) {
      *target = narrow<Element>(*values);
    } else {
      float vector[kVector];
#pragma unroll
      for (int j = 0; j < kVector; ++j) vector[j] = values[j];
      store_chunk(target, vector);
    }
  }

  int at_;  // of its first step, in bytes from the start of the block's memory
  const bool aligned_;
  const bool exists_;
  Element* out_;  // of its first step in the next group
};

}  // namespace selective_scan
