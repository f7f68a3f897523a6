// Tiles of u, delta, z and out of the pair kernel: in shared memory, and on their way to and from device memory.
#pragma once

#include "selective_scan_channels.cuh"

namespace selective_scan {

constexpr int kPairSteps = 8;               // steps of a lane in a half: one vector
constexpr int kHalfSteps = 2 * kPairSteps;  // of half a tile
constexpr int kPairTile = 2 * kHalfSteps;

template <typename Element>
struct PairConfig : ScanConfig<Element, false, 8, 2, 1, kPairTile> {
  using Base = ScanConfig<Element, false, 8, 2, 1, kPairTile>;

  // Groups of 8 steps are set apart, so that lanes that widen different groups meet different banks.
  static __host__ __device__ constexpr int coefficient_row(int step) { return step * Base::kRowPitch + step / 8 * 8; }
  static constexpr int kTileBytes = coefficient_row(kPairTile) * 4;  // two tiles of B, then two of C

  // A half warp reads the same of B and C.
  static __device__ __forceinline__ int lane_channel(unsigned lane) { return lane % 16; }
  static __device__ __forceinline__ int lane_part(unsigned lane) { return lane / 16; }
};

// A warp's part of a tile of u, delta or z. In 'bld' [step][channel] as in device memory; in 'bdl' vectors of 8 steps.
// Rows of 'bdl' that do not start at a vector are copied in the vectors that cover them, which is one more a row.
template <typename Element>
struct PairTile {
  static_assert(sizeof(Element) == 2, "a lane's 8 steps are one vector");
  Chunk<Element, kPairSteps> slots[2 * 32 + 16];

  // 'bdl': the place of a channel's vector, such that lanes that copy rows and lanes that read columns meet all banks.
  static __device__ __forceinline__ int place(int vector, int channel) { return vector * 16 + (channel ^ 2 * vector); }
};

// A warp's shared memory, tiles in two turns.
template <typename Element>
struct PairTiles {
  PairTile<Element> u[2];
  PairTile<Element> delta[2];
  PairTile<Element> z[2];
  float D[16];
  float bias[16];
};

// A warp's channels of one sequence.
struct PairRows : WarpRows {
  int64_t length;  // steps
  int64_t row;     // of the first channel in [sequences, dim]
  int64_t total;   // elements of u
  bool covered;    // 'bdl', and arrays start at vectors: copies of vectors that cover a row are possible
};

// Which vectors of a tile a lane copies, i = 0 and 1. In 'bdl' four lanes copy the 32 steps of a channel, since what a
// copy costs is the rows it touches; in 'bld' two lanes copy the 16 channels of a step.
template <Layout kLayout>
struct PairPlace {
  static constexpr bool kBdl = kLayout == Layout::kBDL;
  int channel;
  int step;

  __device__ __forceinline__ PairPlace(unsigned lane, int i)
      : channel(kBdl ? lane / 4 + 8 * i : lane % 2 * kPairSteps),
        step(kBdl ? lane % 4 * kPairSteps : lane / 2 + kHalfSteps * i) {}

  // Where it goes in a tile.
  template <typename Element>
  __device__ __forceinline__ Chunk<Element, kPairSteps>* slot(PairTile<Element>& tile, unsigned lane, int i) const {
    return &tile.slots[kBdl ? tile.place(step / kPairSteps, channel) : i * 32 + lane];
  }

  // Its elements that exist.
  __device__ __forceinline__ int count(int channels, int steps) const {
    if (kBdl) return channel < channels ? clamp_count(steps - step, kPairSteps) : 0;
    return step < steps ? clamp_count(channels - channel, kPairSteps) : 0;
  }
};

// Starts the copies of one array's part of a tile. `offset` is where this lane's first vector lies.
template <typename Element, Layout kLayout>
__device__ __forceinline__ void fetch_pairs(PairTile<Element>& tile, const void* source, int64_t offset,
                                            const PairRows& rows, int steps) {
  using Place = PairPlace<kLayout>;
  const unsigned lane = fresh_thread() % 32;
  const auto* from = static_cast<const Element*>(source);
  const int64_t further = (Place::kBdl ? 8 : kHalfSteps) * rows.pitch;
  if (rows.whole && steps == kPairTile) {
#pragma unroll
    for (int i = 0; i < 2; ++i) fetch_chunk(Place(lane, i).slot(tile, lane, i), from + offset + i * further);
    return;
  }
#pragma unroll 1
  for (int i = 0; i < 2; ++i) {
    const Place place(lane, i);
    if (Place::kBdl && rows.covered) {
      if (place.channel >= rows.channels) break;
      // The last lane of a row also copies the vector after it.
#pragma unroll 1
      for (int more = 0; more < (lane % 4 == 3 ? 2 : 1); ++more) {
        const int64_t first = (offset / kPairSteps + more) * kPairSteps;
        const int count = clamp_count(rows.total - first, kPairSteps);
        auto* slot = &tile.slots[tile.place(lane % 4 + more, place.channel)];
        if (count == kPairSteps) {
          fetch_chunk(slot, from + first);
        } else {
          fetch_elements(slot, from + first, count);
        }
      }
    } else {
      fetch_elements(place.slot(tile, lane, i), from + offset, place.count(rows.channels, steps));
    }
    offset += further;
  }
}

// Elements `first` to first + 7 of two vectors in a row.
template <typename Slot>
__device__ __forceinline__ Slot cut_vector(const Slot& low, const Slot& high, unsigned first) {
  uint32_t words[8];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    words[j] = low.words[j];
    words[j + 4] = high.words[j];
  }
#pragma unroll
  for (int by = 2; by > 0; by /= 2) {
#pragma unroll
    for (int j = 0; j < 4 + by; ++j) words[j] = first & (2 * by) && j + by < 8 ? words[j + by] : words[j];
  }
  Slot cut;
#pragma unroll
  for (int j = 0; j < 4; ++j) cut.words[j] = __funnelshift_r(words[j], words[j + 1], (first & 1) * 16);
  return cut;
}

// The 8 steps of this lane's channel.
template <typename Element, Layout kLayout>
__device__ __forceinline__ void read_pairs(const PairTile<Element>& tile, int half, const PairRows& rows, unsigned lane,
                                           float (&values)[kPairSteps]) {
  if constexpr (kLayout == Layout::kBDL) {
    const int vector = 2 * half + lane / 16;
    const int channel = lane % 16;
    const auto& slot = tile.slots[tile.place(vector, channel)];
    if (rows.whole || !rows.covered) {
      widen_chunk(&slot, values);
    } else {
      const unsigned first = static_cast<unsigned>(rows.origin + channel * rows.pitch) % kPairSteps;
      const auto cut = cut_vector(slot, tile.slots[tile.place(vector + 1, channel)], first);
      widen_chunk(&cut, values);
    }
  } else {
    const auto* elements =
        reinterpret_cast<const Element*>(&tile.slots[half * 32]) + lane / 16 * kPairSteps * 16 + lane % 16;
#pragma unroll
    for (int j = 0; j < kPairSteps; ++j) values[j] = static_cast<float>(elements[j * 16]);
  }
}

// Stores y of the steps that exist.
template <typename Element, Layout kLayout>
__device__ __forceinline__ void store_pairs(Element* target, const PairRows& rows, int count,
                                            const float (&y)[kPairSteps]) {
  if constexpr (kLayout == Layout::kBLD) {
#pragma unroll
    for (int j = 0; j < kPairSteps; ++j) {
      if (j < count) *target = narrow<Element>(y[j]);
      target += rows.pitch;
    }
  } else if (rows.whole && count >= kPairSteps) {
    store_chunk(target, y);
  } else if (rows.covered && count >= kPairSteps) {
    // In words, but for the first and last element where those do not start a word.
    const bool odd = reinterpret_cast<uintptr_t>(target) % 4 != 0;
    if (odd) {
      target[0] = narrow<Element>(y[0]);
      target[kPairSteps - 1] = narrow<Element>(y[kPairSteps - 1]);
    }
    auto* words = reinterpret_cast<uint32_t*>(target + odd);
#pragma unroll
    for (int j = 0; j < kPairSteps; j += 2) {
      if (j + 2 < kPairSteps || !odd) {
        const float last = j + 2 < kPairSteps ? y[(j + 2) % kPairSteps] : 0.0f;
        words[j / 2] = narrow_pair<Element>(odd ? y[j + 1] : y[j], odd ? last : y[j + 1]);
      }
    }
  } else {
    store_elements(target, y, count);
  }
}

}  // namespace selective_scan
