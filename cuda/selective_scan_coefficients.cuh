// B and C of a block: read once for all its channels and widened to float32 rows in shared memory.
#pragma once

#include "selective_scan_args.cuh"
#include "selective_scan_states.cuh"
#include "tile_io.cuh"

namespace selective_scan {

// The states of one pass over one tile.
struct Pass {
  int64_t start;  // first step, counted from the start of the sequence
  int steps;
  int64_t first_state;
};

// One of B and C. Two float32 tiles take turns, so that one is filled while the other is read.
template <typename Config, Layout kLayout>
struct Coefficients {
  using Element = typename Config::Element;
  using Slot = Chunk<Element, Config::kRowChunk>;
  static constexpr bool kBdl = kLayout == Layout::kBDL;
  static constexpr int kReals = Config::kReals;
  static constexpr int kRowChunk = Config::kRowChunk;
  static constexpr int kChunks = Config::kTile * Config::kRow / kRowChunk;
  static constexpr int kPerRow = (kBdl ? Config::kTile * kReals : Config::kRow) / kRowChunk;

  const void*
      source;     // varying: the first state and step of the sequence and group; constant: the block's first channel
  int64_t pitch;  // elements from one row of the slower axis to the next
  int64_t dstate;
  bool varying;
  bool whole;    // varying, chunks may be moved as vectors, and no pass lacks a state
  int channels;  // of the block that exist
  // Offsets into the block's shared memory, since pointers kept in memory would lose their address space.
  int slots_offset;
  int tiles_offset;
  int tile_bytes;

  __device__ __forceinline__ Slot* slots() const { return reinterpret_cast<Slot*>(block_memory() + slots_offset); }

  __device__ __forceinline__ float* tile(int turn) const {
    return reinterpret_cast<float*>(block_memory() + tiles_offset + turn * tile_bytes);
  }

  __device__ __forceinline__ int count(const Pass& pass, int row, int column) const {
    const int64_t states = dstate - pass.first_state;
    if (kBdl) return row < states ? clamp_count(pass.steps * kReals - column, kRowChunk) : 0;
    return row < pass.steps ? clamp_count(states * kReals - column, kRowChunk) : 0;
  }

  // Chunk q of a pass, which lies in row q / kPerRow along the contiguous axis.
  __device__ __forceinline__ void fetch(const Pass& pass, unsigned q, bool whole_pass) const {
    const int row = q / kPerRow;
    const int column = q % kPerRow * kRowChunk;
    const int64_t offset = kBdl ? (pass.first_state + row) * pitch + pass.start * kReals + column
                                : (pass.start + row) * pitch + pass.first_state * kReals + column;
    const Element* from = static_cast<const Element*>(source) + offset;
    if (whole_pass) {
      fetch_chunk(&slots()[q], from);
    } else {
      fetch_elements(&slots()[q], from, count(pass, row, column));
    }
  }

  // Widens what was fetched into tile `turn`. States and steps that do not exist become 0, since 0 * NaN would not.
  __device__ __forceinline__ void widen(int turn, const Pass& pass, unsigned q, bool whole_pass) const {
    const int row = q / kPerRow;
    const int column = q % kPerRow * kRowChunk;
    float values[kRowChunk];
    widen_chunk(&slots()[q], values);
    if (!whole_pass) {
      const int existing = count(pass, row, column);
#pragma unroll
      for (int j = 0; j < kRowChunk; ++j) values[j] = j < existing ? values[j] : 0.0f;
    }
    if (kBdl) {
      float* target = tile(turn) + column / kReals * Config::kRowPitch + row * kReals;
#pragma unroll
      for (int j = 0; j < kRowChunk; ++j) target[j / kReals * Config::kRowPitch + j % kReals] = values[j];
    } else {
      auto* vectors = reinterpret_cast<float4*>(tile(turn) + row * Config::kRowPitch + column);
#pragma unroll
      for (int j = 0; j < kRowChunk; j += 4) {
        vectors[j / 4] = {values[j], values[j + 1], values[j + 2], values[j + 3]};
      }
    }
  }

  __device__ __forceinline__ void widen_constant(int turn, const Pass& pass) const {
    float* target = tile(turn);
    const int rows = blockDim.x / 32 * Config::kWarpChannels;
    for (int q = fresh_thread(); q < rows * Config::kRow; q += blockDim.x) {
      const int row = q / Config::kRow;
      const int column = q % Config::kRow;
      const int64_t real = pass.first_state * kReals + column;
      const bool exists = row < channels && real < dstate * kReals;
      target[row * Config::kRowPitch + column] =
          exists ? static_cast<const float*>(source)[row * dstate * kReals + real] : 0.0f;
    }
  }

  // This lane's place in tile `turn`.
  __device__ __forceinline__ Rows rows(int turn) const {
    const unsigned thread = fresh_thread();
    const unsigned lane = thread % 32;
    const int channel = thread / 32 * Config::kWarpChannels + lane / Config::kLanes;
    const int row = varying ? 0 : channel;
    const float* start = tile(turn) + row * Config::kRowPitch + lane % Config::kLanes * 4;
    return {static_cast<unsigned>(__cvta_generic_to_shared(start)), varying ? Config::kRowPitch * 4 : 0};
  }
};

// Starts the copies of a pass's B and C, whose chunks the threads of the block share. `whole_pass` says that both are
// whole and that no step is missing.
template <typename Config, Layout kLayout>
__device__ __forceinline__ void fetch_coefficients(const Coefficients<Config, kLayout> (&both)[2], const Pass& pass,
                                                   bool whole_pass) {
  constexpr unsigned kChunks = Coefficients<Config, kLayout>::kChunks;
  for (unsigned q = fresh_thread(); q < 2 * kChunks; q += blockDim.x) {
    const Coefficients<Config, kLayout>& one = both[q / kChunks];
    if (whole_pass || one.varying) one.fetch(pass, q % kChunks, whole_pass);
  }
}

template <typename Config, Layout kLayout>
__device__ __forceinline__ void widen_coefficients(const Coefficients<Config, kLayout> (&both)[2], int turn,
                                                   const Pass& pass, bool whole_pass) {
  constexpr unsigned kChunks = Coefficients<Config, kLayout>::kChunks;
  for (unsigned q = fresh_thread(); q < 2 * kChunks; q += blockDim.x) {
    const Coefficients<Config, kLayout>& one = both[q / kChunks];
    if (whole_pass || one.varying) one.widen(turn, pass, q % kChunks, whole_pass);
  }
  if (whole_pass) return;
#pragma unroll 1
  for (int i = 0; i < 2; ++i) {
    if (!both[i].varying) both[i].widen_constant(turn, pass);
  }
}

}  // namespace selective_scan
