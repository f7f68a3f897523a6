// The channel-parallel scan. A block owns adjacent channels of one sequence and group and walks time in tiles. While
// the states of one tile are walked, the next tile is on its way into shared memory:
//   prepare   u, delta            -> (dt, dt * u)      each warp, its own channels
//   walk      (dt, dt * u), B, C  -> y                 each lane, its own states, in registers
//   finish    y, u, z             -> out               each warp, its own channels
// softplus and silu are thus computed once an element however many lanes share a channel.
#pragma once

#include "selective_scan_channels.cuh"
#include "selective_scan_coefficients.cuh"
#include "selective_scan_states.cuh"

namespace selective_scan {

// The sequence, group and channels of this block.
struct BlockPlace {
  int64_t sequence;
  int64_t group;
  int64_t channel;  // first
  int channels;     // that exist
  int64_t batch;
  int64_t start;  // in the batch entry
  int64_t length;
};

__device__ __forceinline__ BlockPlace locate_block(const ScanArgs& args, int block_channels) {
  const SelectiveScanParams& p = args.params;
  const int64_t group_channels = p.dim / p.groups;
  const int64_t pieces = (group_channels + block_channels - 1) / block_channels;
  const int64_t block = args.first_block + blockIdx.x;
  BlockPlace place;
  const int64_t piece = block % pieces;
  place.group = block / pieces % p.groups;
  place.sequence = block / pieces / p.groups;
  place.channel = place.group * group_channels + piece * block_channels;
  place.channels = clamp_count(group_channels - piece * block_channels, block_channels);
  const PieceSpan span = span_of(args, place.sequence);
  place.batch = span.batch;
  place.start = span.start;
  place.length = span.length;
  return place;
}

__device__ __forceinline__ bool multiples(int64_t a, int64_t b, int64_t bytes) { return ((a | b) & (bytes - 1)) == 0; }

template <typename Config, Layout kLayout>
__device__ __forceinline__ Coefficients<Config, kLayout> make_coefficients(const SelectiveScanParams& p,
                                                                           const BlockPlace& place, const void* base,
                                                                           bool varying) {
  constexpr int64_t kReals = Config::kReals;
  constexpr int64_t kSize = sizeof(typename Config::Element);
  // No field is left undefined: the compiler may give such a field any value and merge its store with another's.
  Coefficients<Config, kLayout> result = {};
  result.varying = varying;
  result.dstate = p.dstate;
  result.channels = place.channels;
  const int tile_rows = varying ? Config::kTile : static_cast<int>(blockDim.x / 32) * Config::kWarpChannels;
  result.tile_bytes = tile_rows * Config::kRowPitch * static_cast<int>(sizeof(float));
  if (!varying) {
    result.source = static_cast<const float*>(base) + place.channel * p.dstate * kReals;
    return result;
  }
  int64_t offset;
  if (kLayout == Layout::kBDL) {
    result.pitch = p.seqlen * kReals;
    offset = (place.batch * p.groups + place.group) * p.dstate * result.pitch + place.start * kReals;
  } else {
    result.pitch = p.groups * p.dstate * kReals;
    offset = (place.batch * p.seqlen + place.start) * result.pitch + place.group * p.dstate * kReals;
  }
  const auto* source = static_cast<const typename Config::Element*>(base) + offset;
  result.source = source;
  result.whole = p.dstate % Config::kCapacity == 0 &&
                 multiples(reinterpret_cast<int64_t>(source), result.pitch * kSize, Config::kRowChunk * kSize);
  return result;
}

template <typename Config>
__device__ __forceinline__ WarpRows make_rows(const SelectiveScanParams& p, const BlockPlace& place,
                                              int first_channel) {
  constexpr int64_t kSize = sizeof(typename Config::Element);
  WarpRows rows;
  const int64_t channel = place.channel + first_channel;
  if (p.layout == Layout::kBDL) {
    rows.pitch = p.seqlen;
    rows.origin = (place.batch * p.dim + channel) * p.seqlen + place.start;
  } else {
    rows.pitch = p.dim;
    rows.origin = (place.batch * p.seqlen + place.start) * p.dim + channel;
  }
  rows.channels = clamp_count(place.channels - first_channel, Config::kWarpChannels);
  const int64_t bases = reinterpret_cast<int64_t>(p.u) | reinterpret_cast<int64_t>(p.delta) |
                        reinterpret_cast<int64_t>(p.z) | reinterpret_cast<int64_t>(p.out);
  rows.whole = rows.channels == Config::kWarpChannels &&
               multiples(bases | rows.origin * kSize, rows.pitch * kSize, Config::kChunk * kSize);
  return rows;
}

template <typename Config>
__device__ __forceinline__ WarpTiles<Config> carve_warp(unsigned char* shared) {
  using Shared = SharedLayout<Config>;
  using Slot = typename WarpTiles<Config>::Slot;
  WarpTiles<Config> tiles;
  tiles.inputs = reinterpret_cast<float2*>(shared);
  tiles.sums = reinterpret_cast<float*>(shared + Shared::kSteps);
  shared += Shared::kSteps + Shared::kSums;
  tiles.u = reinterpret_cast<Slot*>(shared);
  tiles.delta = reinterpret_cast<Slot*>(shared + 2 * Shared::kSlots);
  tiles.z = reinterpret_cast<Slot*>(shared + 3 * Shared::kSlots);
  tiles.D = reinterpret_cast<float*>(shared + 5 * Shared::kSlots);
  tiles.bias = reinterpret_cast<float*>(shared + 5 * Shared::kSlots + Shared::kWarpFloats);
  return tiles;
}

// All tiles of this block's sequence. A turn of the loop walks one pass and fetches the next; the first turn only
// fetches, so that the code of a fetch is there once.
template <typename Config, Layout kLayout>
__device__ __forceinline__ void scan_channels(const ScanArgs& args, const BlockPlace& place, const WarpRows& rows,
                                              int64_t row, const WarpTiles<Config>& tiles,
                                              const Coefficients<Config, kLayout> (&coefficients)[2]) {
  const SelectiveScanParams& p = args.params;
  const auto* A = static_cast<const float*>(p.A);
  const auto* initial = static_cast<const float*>(p.initial_state);
  auto* last = static_cast<float*>(p.last_state);
  const int64_t rate_row = row - place.sequence * p.dim;
  const bool whole_rows = rows.whole;
  const bool whole_coefficients = coefficients[0].whole && coefficients[1].whole;
  const bool one_pass = p.dstate <= Config::kCapacity;
  const auto at = [&](int64_t first_row, int64_t first_state) {
    return StatePlace<Config>(first_row, rows.channels, p.dstate, first_state);
  };

  States<Config> states;
  if (one_pass) {
    load_states<Config>(states, initial, at(row, 0));
    load_rates<Config>(states, A, at(rate_row, 0));
  }
  Pass pass{0, 0, 0};
  Pass next{0, clamp_count(place.length, Config::kTile), 0};
  int turn = 0;      // of the tiles of B and C
  int row_turn = 0;  // of the slots of u and z
  do {
    const bool first = pass.first_state == 0;
    if (first && pass.steps > 0) {
      prepare_inputs<Config, kLayout>(tiles, row_turn, rows, pass.steps, whole_rows && pass.steps == Config::kTile,
                                      p.delta_softplus);
    }
    if (next.steps > 0) {
      const bool full = next.steps == Config::kTile;
      if (next.first_state == 0) {
        fetch_rows<Config, kLayout>(tiles, row_turn ^ 1, p, rows, next.start, next.steps, whole_rows && full);
      }
      fetch_coefficients(coefficients, next, whole_coefficients && full);
    }
    commit_copies();
    // Every warp has widened its share of this pass's B and C, and is done with the pass before.
    __syncthreads();
    if (pass.steps > 0) {
      if (!one_pass) {
        load_states<Config>(states, pass.start == 0 ? initial : args.parked, at(row, pass.first_state));
        load_rates<Config>(states, A, at(rate_row, pass.first_state));
      }
      walk_tile<Config>(states, tiles.inputs, coefficients[0].rows(turn), coefficients[1].rows(turn), tiles.sums,
                        pass.steps, !first);
      if (!one_pass) store_states<Config>(states, args.parked, at(row, pass.first_state));
      __syncwarp();
      if (pass.first_state + Config::kCapacity >= p.dstate) {
        store_outputs<Config, kLayout>(tiles, row_turn, p.out, rows, pass.start, pass.steps,
                                       whole_rows && pass.steps == Config::kTile, p.z != nullptr);
      }
    }
    wait_for_copies();
    turn ^= 1;
    if (next.steps > 0) {
      widen_coefficients(coefficients, turn, next, whole_coefficients && next.steps == Config::kTile);
    }
    if (next.first_state == 0) row_turn ^= 1;
    pass = next;
    if (pass.first_state + Config::kCapacity < p.dstate) {
      next.first_state += Config::kCapacity;
    } else {
      next = {pass.start + Config::kTile, clamp_count(place.length - pass.start - Config::kTile, Config::kTile), 0};
    }
  } while (pass.steps > 0);
  if (last == nullptr) return;
  if (one_pass) {
    store_states<Config>(states, last, at(row, 0));
  } else if (place.length == 0) {
    for (int64_t n = 0; n < p.dstate; n += Config::kCapacity) {
      load_states<Config>(states, initial, at(row, n));
      store_states<Config>(states, last, at(row, n));
    }
  }
}

template <typename Config, Layout kLayout>
__device__ __forceinline__ void scan_block(const ScanArgs& args) {
  using Shared = SharedLayout<Config>;
  // What a tile's loads and stores need is kept in shared memory: in registers it would be idle during the walk, which
  // wants as many warps as there are registers for.
  __shared__ WarpRows warp_rows[kMostWarps];
  __shared__ Coefficients<Config, kLayout> coefficients[2];
  const SelectiveScanParams& p = args.params;
  const int warps = blockDim.x / 32;
  const int warp = threadIdx.x / 32;
  const int first_channel = warp * Config::kWarpChannels;
  const BlockPlace place = locate_block(args, warps * Config::kWarpChannels);
  if (threadIdx.x % 32 == 0) warp_rows[warp] = make_rows<Config>(p, place, first_channel);
  if (threadIdx.x == 0) {
    auto& B = coefficients[0];
    auto& C = coefficients[1];
    B = make_coefficients<Config, kLayout>(p, place, p.B, p.varying_b);
    C = make_coefficients<Config, kLayout>(p, place, p.C, p.varying_c);
    B.slots_offset = warps * static_cast<int>(Shared::kWarp);
    C.slots_offset = B.slots_offset + static_cast<int>(Shared::kStaging);
    B.tiles_offset = C.slots_offset + static_cast<int>(Shared::kStaging);
    C.tiles_offset = B.tiles_offset + 2 * B.tile_bytes;
  }
  __syncthreads();

  const WarpRows& rows = warp_rows[warp];
  const WarpTiles<Config> tiles = carve_warp<Config>(block_memory() + warp * Shared::kWarp);
  const int64_t channel = place.channel + first_channel;
  for (int c = threadIdx.x % 32; c < Config::kWarpChannels; c += 32) {
    tiles.D[c] = p.D != nullptr && c < rows.channels ? p.D[channel + c] : 0.0f;
    tiles.bias[c] = p.delta_bias != nullptr && c < rows.channels ? p.delta_bias[channel + c] : 0.0f;
  }
  scan_channels<Config, kLayout>(args, place, rows, place.sequence * p.dim + channel, tiles, coefficients);
}

template <typename Config>
__global__ void __launch_bounds__(32 * kMostWarps, Config::kMinBlocks)
    selective_scan_kernel(const __grid_constant__ ScanArgs args) {
  if (args.params.layout == Layout::kBDL) {
    scan_block<Config, Layout::kBDL>(args);
  } else {
    scan_block<Config, Layout::kBLD>(args);
  }
}

}  // namespace selective_scan
