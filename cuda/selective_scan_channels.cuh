// The part of a tile that belongs to a warp: u, delta and z of its channels, and the steps before and after the states.
// Device memory is read and written once, in chunks along the contiguous axis; [step][channel] tiles in shared memory
// are where the two layouts meet.
#pragma once

#include "selective_scan_args.cuh"
#include "tile_io.cuh"

namespace selective_scan {

// Where a warp's elements lie. Chunk i of a lane starts at channel + i * channel_turn, step + i * step_turn of the
// tile.
template <typename Config, Layout kLayout>
struct ChunkMap {
  static constexpr bool kBdl = kLayout == Layout::kBDL;
  static constexpr int kChunk = Config::kChunk;
  static constexpr int kPerRow = (kBdl ? Config::kTile : Config::kWarpChannels) / kChunk;
  static constexpr int kRowTurn = 32 / kPerRow;
  static_assert(32 % kPerRow == 0, "a warp covers whole rows");
  // How far apart the elements of a chunk are in the tiles.
  static constexpr int kStepStride = kBdl ? Config::kStepPitch : 1;
  static constexpr int kSumStride = kBdl ? Config::kSumPitch : 1;

  int channel;
  int step;

  __device__ __forceinline__ ChunkMap(unsigned lane, int i) {
    const int row = lane / kPerRow + i * kRowTurn;
    const int column = lane % kPerRow * kChunk;
    channel = kBdl ? row : column;
    step = kBdl ? column : row;
  }

  // Elements of the chunk that exist.
  __device__ __forceinline__ int count(int channels, int steps) const {
    if (kBdl) return channel < channels ? clamp_count(steps - step, kChunk) : 0;
    return step < steps ? clamp_count(channels - channel, kChunk) : 0;
  }
};

// A warp's channels of one sequence.
struct WarpRows {
  int64_t origin;  // of the first channel and step, in elements
  int64_t pitch;   // elements from one row of the slower axis to the next
  int channels;    // that exist, at most kWarpChannels
  bool whole;      // all channels exist and chunks may be moved as vectors

  template <typename Map>
  __device__ __forceinline__ int64_t offset(const Map& map, int64_t start) const {
    return origin + (Map::kBdl ? map.channel * pitch + start + map.step : (start + map.step) * pitch + map.channel);
  }
};

// A warp's shared memory: see SharedLayout.
template <typename Config>
struct WarpTiles {
  using Slot = Chunk<typename Config::Element, Config::kChunk>;
  float2* inputs;  // [step][channel] (dt, dt * u)
  float* sums;     // [step][channel] y before D and z
  float* D;        // [channel]
  float* bias;     // [channel]
  // [chunk][lane]. Two tiles of u and z, which are still needed when the next ones are on their way; one of delta.
  Slot* u;
  Slot* delta;
  Slot* z;
};

// Starts the copies of one tile of u, delta and z. Here and below `whole` says that rows.whole and that no step is
// missing.
template <typename Config, Layout kLayout>
__device__ __forceinline__ void fetch_rows(const WarpTiles<Config>& tiles, int turn, const SelectiveScanParams& p,
                                           const WarpRows& rows, int64_t start, int steps, bool whole) {
  using Map = ChunkMap<Config, kLayout>;
  using Element = typename Config::Element;
  constexpr int kSlots = 32 * Config::kChunksPerLane;
  const unsigned lane = fresh_thread() % 32;
#pragma unroll
  for (int i = 0; i < Config::kChunksPerLane; ++i) {
    const Map map(lane, i);
    const int64_t offset = rows.template offset<Map>(map, start);
    const int slot = i * 32 + lane;
    if (whole) {
      fetch_chunk(&tiles.u[turn * kSlots + slot], static_cast<const Element*>(p.u) + offset);
      fetch_chunk(&tiles.delta[slot], static_cast<const Element*>(p.delta) + offset);
      if (p.z != nullptr) fetch_chunk(&tiles.z[turn * kSlots + slot], static_cast<const Element*>(p.z) + offset);
      continue;
    }
    const int count = map.count(rows.channels, steps);
    // Not unrolled: the code of a chunk is long.
#pragma unroll 1
    for (int array = 0; array < (p.z != nullptr ? 3 : 2); ++array) {
      const void* source = array == 0 ? p.u : array == 1 ? p.delta : p.z;
      auto* slots = array == 0 ? tiles.u + turn * kSlots : array == 1 ? tiles.delta : tiles.z + turn * kSlots;
      fetch_elements(&slots[slot], static_cast<const Element*>(source) + offset, count);
    }
  }
}

// u and delta to (dt, dt * u).
template <typename Config, Layout kLayout>
__device__ __forceinline__ void prepare_inputs(const WarpTiles<Config>& tiles, int turn, const WarpRows& rows,
                                               int steps, bool whole, bool delta_softplus) {
  using Map = ChunkMap<Config, kLayout>;
  constexpr int kChunk = Config::kChunk;
  const unsigned lane = fresh_thread() % 32;
  const int first_slot = turn * 32 * Config::kChunksPerLane + lane;
#pragma unroll
  for (int i = 0; i < Config::kChunksPerLane; ++i) {
    const Map map(lane, i);
    float u[kChunk];
    float dt[kChunk];
    widen_chunk(&tiles.u[first_slot + i * 32], u);
    widen_chunk(&tiles.delta[i * 32 + lane], dt);
#pragma unroll
    for (int j = 0; j < kChunk; ++j) dt[j] += tiles.bias[map.channel + (Map::kBdl ? 0 : j)];
    if (delta_softplus) {
#pragma unroll
      for (int j = 0; j < kChunk; j += 4) softplus<4, Config::kAccurate>(dt + j);
    }
    float2* inputs = tiles.inputs + map.step * Config::kStepPitch + map.channel;
#pragma unroll
    for (int j = 0; j < kChunk; ++j) inputs[j * Map::kStepStride] = {dt[j], dt[j] * u[j]};
    if (!whole) {
      const int count = map.count(rows.channels, steps);
#pragma unroll
      for (int j = 0; j < kChunk; ++j) {
        if (j >= count) inputs[j * Map::kStepStride] = {0.0f, 0.0f};
      }
    }
  }
}

// The sums to out = (y + D * u) * silu(z).
template <typename Config, Layout kLayout>
__device__ __forceinline__ void store_outputs(const WarpTiles<Config>& tiles, int turn, void* out, const WarpRows& rows,
                                              int64_t start, int steps, bool whole, bool gated) {
  using Map = ChunkMap<Config, kLayout>;
  constexpr int kChunk = Config::kChunk;
  const unsigned lane = fresh_thread() % 32;
  const int first_slot = turn * 32 * Config::kChunksPerLane + lane;
#pragma unroll
  for (int i = 0; i < Config::kChunksPerLane; ++i) {
    const Map map(lane, i);
    float u[kChunk];
    widen_chunk(&tiles.u[first_slot + i * 32], u);
    const float* sums = tiles.sums + map.step * Config::kSumPitch + map.channel;
    float y[kChunk];
#pragma unroll
    for (int j = 0; j < kChunk; ++j) {
      y[j] = fmaf(tiles.D[map.channel + (Map::kBdl ? 0 : j)], u[j], sums[j * Map::kSumStride]);
    }
    if (gated) {
      float z[kChunk];
      widen_chunk(&tiles.z[first_slot + i * 32], z);
#pragma unroll
      for (int j = 0; j < kChunk; ++j) y[j] *= silu<typename Config::Element>(z[j]);
    }
    auto* target = static_cast<typename Config::Element*>(out) + rows.template offset<Map>(map, start);
    if (whole) {
      store_chunk(target, y);
    } else {
      store_elements(target, y, map.count(rows.channels, steps));
    }
  }
}

}  // namespace selective_scan
