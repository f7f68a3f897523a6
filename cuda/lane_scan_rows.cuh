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
  static constexpr int64_t kShift = kCopy / Config::kSize - 1;  // of an element, what lies beyond a boundary of a copy

  int64_t origin;  // of the warp's first channel and the piece's first step, in elements
  int64_t pitch;   // from one row to the next
  int channels;    // that exist
  bool aligned;    // rows start on boundaries of a copy

  // `channel` is the warp's first, of which `existing` exist; `first` is the first step of the piece, in the batch
  // entry.
  __device__ __forceinline__ LaneRows& place(const SelectiveScanParams& p, int64_t batch, int64_t first,
                                             int64_t channel, int existing) {
    channels = existing;
    pitch = Config::kBdl ? p.seqlen : p.dim;
    origin = Config::kBdl ? (batch * p.dim + channel) * p.seqlen + first : (batch * p.seqlen + first) * p.dim + channel;
    aligned = ((origin | pitch) & kShift) == 0;
    return *this;
  }

  // Of the tile at `start`.
  __device__ __forceinline__ int64_t first(int64_t start) const {
    return origin + (Config::kBdl ? start : start * pitch);
  }

  // Starts the copies of the tile at `start`.
  __device__ __forceinline__ void fetch(const SelectiveScanParams& p, int turn, int64_t start, int steps) const {
    const unsigned lane = fresh_thread() % 32;
    unsigned char* const arrays = memory(turn);
    const auto* u = static_cast<const Element*>(p.u);
    const auto* delta = static_cast<const Element*>(p.delta);
    const auto* z = static_cast<const Element*>(p.z);
    if (aligned && steps == Config::kTile && channels == Config::kWarpChannels) {
      constexpr int kTurn = 32 / kCopies;  // rows
      const int row = lane / kCopies;
      int64_t from = first(start) + row * pitch + lane % kCopies * (kCopy / Config::kSize);
      unsigned char* target = arrays + row * Config::kRowBytes + lane % kCopies * kCopy;
#pragma unroll
      for (int r = 0; r < Config::kRows; r += kTurn) {
        if (Config::kRows % kTurn == 0 || r + row < Config::kRows) {
          copy_async<kCopy>(target, u + from);
          copy_async<kCopy>(target + Config::kArrayBytes, delta + from);
          if (z != nullptr) copy_async<kCopy>(target + 2 * Config::kArrayBytes, z + from);
        }
        from += kTurn * pitch;
        target += kTurn * Config::kRowBytes;
      }
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

  // Stores what OwnPlace::leave left in shared memory, adjacent lanes adjacent steps.
  __device__ __forceinline__ void flush(const SelectiveScanParams& p, int turn, int64_t start, int steps) const {
    auto* const out = static_cast<Element*>(p.out);
    __syncwarp();
#pragma unroll 4
    for (int i = fresh_thread() % 32; i < channels * Config::kTile; i += 32) {
      const int row = i / Config::kTile;
      const int step = i % Config::kTile;
      const int64_t at = first(start) + row * pitch;
      const auto* source = reinterpret_cast<const Element*>(memory(turn) + row * Config::kRowBytes);
      if (step < steps) out[at + step] = source[(at & kShift) + step];
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
    // 'bdl': a row's tiles all start as far beyond a boundary as the row does.
    const int shift = Config::kBdl && !aligned_ ? (first - step()) & LaneRows<Config>::kShift : 0;
    at_ = static_cast<int>(LaneRows<Config>::memory(0) - block_memory()) + row * Config::kRowBytes +
          (shift + column) * Config::kSize;
  }

  __device__ __forceinline__ bool exists() const { return exists_; }

  // The group at step `t` of the tile at `start`.
  __device__ __forceinline__ void read(const SelectiveScanParams& p, const LaneRows<Config>& rows, int turn,
                                       int64_t start, int t, OwnSteps<Config>& own) const {
    const unsigned char* from = block_memory() + at(turn, t);
    if constexpr (Config::kBdl && kVector > 1) {
      if (aligned_) {
        read_vectors(from, own.u);
        read_vectors(from + Config::kArrayBytes, own.delta);
        if (p.z != nullptr) read_vectors(from + 2 * Config::kArrayBytes, own.z);
        return;
      }
    }
    if (Config::kBdl || aligned_) {
      read_elements(p, from, [](int) { return 0; }, own);  // 'bdl': the shift is in at_
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
    for (int i = 0; i < kOwn; ++i) target[i] = narrow<Element>(values[i]);
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
