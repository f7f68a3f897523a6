// The scan of few rows, which leave a multiprocessor with a handful of channels: what takes time is then the chain of
// instructions of each warp. So warps specialise. Walkers keep the states in registers and only walk; preparers have
// made a tile's dt, dt * u, B and C ready before, and turn its y into out afterwards. Between two barriers
//   walkers     walk tile j
//   preparers   prepare tile j + 1, finish tile j - 1, start the copies of tile j + 3
#pragma once

#include "specialized_scan_matrices.cuh"
#include "specialized_scan_rows.cuh"
#include "specialized_scan_walkers.cuh"

namespace selective_scan {

template <typename Config>
__device__ __forceinline__ BlockPlace place_of(const ScanArgs& args) {
  const SelectiveScanParams& p = args.params;
  const int64_t group_channels = p.dim / p.groups;
  const int64_t blocks = (group_channels + Config::kBlockChannels - 1) / Config::kBlockChannels;  // of a group
  const int64_t block = args.first_block + blockIdx.x;
  const int64_t in_group = block % blocks * Config::kBlockChannels;
  BlockPlace place;
  place.piece = block / blocks / p.groups;
  place.group = block / blocks % p.groups;
  place.first_channel = place.group * group_channels + in_group;
  place.channels = clamp_count(group_channels - in_group, Config::kBlockChannels);
  place.span = span_of(args, place.piece);
  return place;
}

// Walkers and preparers meet from loops of their own.
__device__ __forceinline__ void meet() {
  __syncwarp();
  block_barrier();
}

template <typename Config>
__device__ __forceinline__ void run_preparer(const SelectiveScanParams& p, const BlockPlace& place, unsigned tiles) {
  constexpr int kTile = Config::kTile;
  const int preparer = threadIdx.x / 32 - Config::kWalkers;
  unsigned char* const memory = block_memory() + preparer * Config::kPreparerBytes;
  const int offset = preparer * Config::kSpan;
  const SpecializedRows<Config> rows(p, place, memory, offset);
  const SpecializedMatrices<Config> matrices(p, place, memory, offset);
  const auto steps_at = [&](int64_t start) { return clamp_count(place.span.length - start, Config::kSpan); };
  const auto fetch = [&](unsigned tile, int64_t start) {
    rows.fetch(tile, start, steps_at(start));
    matrices.fetch(tile, start, steps_at(start));
    commit_copies();  // an empty group too, so that each tile has one
  };
  int64_t start = offset;
#pragma unroll 1
  for (unsigned tile = 0; tile < 2; ++tile) fetch(tile, start + tile * kTile);
#pragma unroll 1
  for (unsigned tile = 0; tile < tiles + 2; ++tile) {
    wait_for_copies<1>();
    __syncwarp();  // a span that is not whole is copied by other lanes than read it
    if (tile < tiles) {
      matrices.widen(tile, start, steps_at(start));
      rows.prepare(tile, start, steps_at(start));
    }
    if (tile >= 2) {
      const int64_t finished = start - 2 * kTile;
      rows.finish(tile - 2, finished, steps_at(finished));
    }
    __syncwarp();  // before other lanes overwrite what has been read
    fetch(tile + 2, start + 2 * kTile);
    start += kTile;
    meet();
  }
}

template <typename Config>
__device__ __forceinline__ void run_walker(const SelectiveScanParams& p, const BlockPlace& place, unsigned tiles) {
  Walker<Config> walker(p, place);
  meet();
#pragma unroll 1
  for (unsigned tile = 0; tile <= tiles; ++tile) {
    if (tile < tiles) walker.walk(tile);
    meet();
  }
  if (p.last_state != nullptr) walker.store(static_cast<float*>(p.last_state));
}

template <typename Config>
__global__ void __launch_bounds__(Config::kThreads, 1) specialized_scan_kernel(const __grid_constant__ ScanArgs args) {
  const SelectiveScanParams& p = args.params;
  const BlockPlace place = place_of<Config>(args);
  const auto tiles = static_cast<unsigned>((place.span.length + Config::kTile - 1) / Config::kTile);
  for (int c = threadIdx.x; c < Config::kBlockChannels; c += Config::kThreads) {
    const bool exists = c < place.channels;
    Config::bias()[c] = exists && p.delta_bias != nullptr ? p.delta_bias[place.first_channel + c] : 0.0f;
    Config::D()[c] = exists && p.D != nullptr ? p.D[place.first_channel + c] : 0.0f;
  }
  __syncthreads();
  if (threadIdx.x < Config::kWalkers * 32) {
    run_walker<Config>(p, place, tiles);
  } else {
    run_preparer<Config>(p, place, tiles);
  }
}

}  // namespace selective_scan
