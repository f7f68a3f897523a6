// The steps of its channel that a lane prepares and finishes: their way from and to shared memory, and to out.
#pragma once

#include "lane_scan_rows.cuh"

namespace selective_scan {

// What a lane prepares and finishes of a group of steps.
template <typename Config>
struct OwnSteps {
  float u[Config::kOwn];
  float delta[Config::kOwn];
  float z[Config::kOwn];
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
      : aligned_(__any_sync(~0u, rows.aligned) != 0), exists_(Config::channel() < rows.channels) {
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
      if (aligned_) {
        read_arrays(p, from, own, read_vectors);
      } else {
        const int beyond = rows.beyond(Config::channel());
        read_arrays(p, from, own, [&](const unsigned char* array, float (&values)[kOwn]) {
          const auto chunk = read_beyond<Element, kOwn>(array, beyond);
          widen_chunk(&chunk, values);
        });
      }
    } else if (Config::kBdl) {
      from += rows.beyond(Config::channel()) * Config::kSize;
      read_arrays(p, from, own, [](const unsigned char* array, float (&values)[kOwn]) { values[0] = value(array); });
    } else if (aligned_) {
      read_arrays(p, from, own, [](const unsigned char* array, float (&values)[kOwn]) {
#pragma unroll
        for (int i = 0; i < kOwn; ++i) values[i] = value(array + i * Config::kRowBytes);
      });
    } else {
      const int64_t first = rows.first(start) + (t + step()) * rows.pitch;
      read_arrays(p, from, own, [&](const unsigned char* array, float (&values)[kOwn]) {
#pragma unroll
        for (int i = 0; i < kOwn; ++i) {
          const int beyond = static_cast<int>((first + i * rows.pitch) & LaneRows<Config>::kShift);
          values[i] = value(array + i * Config::kRowBytes + beyond * Config::kSize);
        }
      });
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

  template <typename Read>
  static __device__ __forceinline__ void read_arrays(const SelectiveScanParams& p, const unsigned char* from,
                                                     OwnSteps<Config>& own, Read read) {
    read(from, own.u);
    read(from + Config::kArrayBytes, own.delta);
    if (p.z != nullptr) read(from + 2 * Config::kArrayBytes, own.z);
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
