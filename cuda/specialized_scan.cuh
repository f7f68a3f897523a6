// The scan of few rows, which leave a multiprocessor with a handful of channels: what takes time is then the chain of
// instructions of each warp. So warps specialise. Walkers keep the states in registers and only walk; others make dt,
// dt * u, B and C ready before, and turn y into out afterwards. In turn t
//   preparers   fetch tile t + 2, prepare tile t
//   finishers   widen B and C of tile t, finish tile t - 3
//   walkers     walk tile t - 2, and look into tile t - 1
// and a barrier ends the turn.
#pragma once

#include "specialized_scan_matrices.cuh"
#include "specialized_scan_rows.cuh"
#include "specialized_scan_walkers.cuh"

namespace selective_scan {

// A division of 64 bits takes some hundred instructions.
__device__ __forceinline__ int64_t quotient(int64_t a, int64_t b) {
  if ((a | b) >> 32 == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}

template <typename Config>
__device__ __forceinline__ BlockPlace place_of(const ScanArgs& args, int block_channels) {
  const SelectiveScanParams& p = args.params;
  const int64_t group_channels = quotient(p.dim, p.groups);
  const int64_t blocks = quotient(group_channels + block_channels - 1, block_channels);  // of a group
  const int64_t block = args.first_block + blockIdx.x;
  const int64_t run = quotient(block, blocks);  // a group of a piece
  const int64_t in_group = (block - run * blocks) * block_channels;
  BlockPlace place;
  place.piece = quotient(run, p.groups);
  place.group = run - place.piece * p.groups;
  place.first_channel = place.group * group_channels + in_group;
  place.channels = clamp_count(group_channels - in_group, block_channels);
  place.span = span_of(args, place.piece);
  return place;
}

// All roles meet, from loops of their own.
__device__ __forceinline__ void meet() {
  __syncwarp();
  block_barrier();
}

template <typename Config>
struct TileTimes {
  int64_t length;

  __device__ __forceinline__ int64_t start(unsigned tile) const { return int64_t{Config::kTile} * tile; }
  __device__ __forceinline__ int steps(unsigned tile) const { return clamp_count(length - start(tile), Config::kTile); }
};

template <typename Config>
__device__ __forceinline__ void run_preparer(const SelectiveScanParams& p, const BlockPlace& place,
                                             const BlockMemory& memory, unsigned tiles) {
  const TileTimes<Config> times{place.span.length};
  const int thread = threadIdx.x - 32 * memory.m.walkers;
  const SpecializedRows<Config> rows(p, place, memory, thread, p.delta_bias);
  const SpecializedMatrices<Config> matrices(p, place, memory, thread);
  // Two turns more before the first.
#pragma unroll 1
  for (unsigned tile = 0; tile < tiles + 4; ++tile) {
    if (tile < tiles) {
      rows.fetch(tile, times.start(tile));
      matrices.fetch(tile, times.start(tile));
    }
    commit_copies();  // an empty group too, so that each tile has one
    const unsigned turn = tile - 2;
    if (tile >= 2 && turn < tiles) rows.prepare(turn, times.steps(turn));
    wait_for_copies<1>();  // for the next turn's
    if (tile >= 1) meet();
  }
}

template <typename Config>
__device__ __forceinline__ void run_finisher(const SelectiveScanParams& p, const BlockPlace& place,
                                             const BlockMemory& memory, unsigned tiles) {
  const TileTimes<Config> times{place.span.length};
  const int thread = threadIdx.x - 32 * (memory.m.walkers + memory.m.preparers);
  const SpecializedRows<Config> rows(p, place, memory, thread, p.D);
  const SpecializedMatrices<Config> matrices(p, place, memory, thread);
  meet();
#pragma unroll 1
  for (unsigned turn = 0; turn < tiles + 3; ++turn) {
    if (turn < tiles) matrices.widen(turn, times.steps(turn));
    if (turn >= 3) rows.finish(turn - 3, times.start(turn - 3), times.steps(turn - 3));
    if (turn < tiles + 2) meet();
  }
}

template <typename Config>
__device__ __forceinline__ void run_walker(const SelectiveScanParams& p, const BlockPlace& place,
                                           const BlockMemory& memory, unsigned tiles) {
  Walker<Config> walker(p, place, memory);
  meet();
  meet();
  meet();
  if (tiles > 0) walker.begin();
#pragma unroll 1
  for (unsigned tile = 0; tile < tiles; ++tile) {
    walker.walk(tile, tile + 1 < tiles ? tile + 1 : tile);
    if (tile + 1 < tiles) meet();
  }
  if (p.last_state != nullptr) walker.store(static_cast<float*>(p.last_state));
  if (tiles > 0) meet();
}

template <typename Config>
__device__ __forceinline__ void scan_block(const ScanArgs& args, const SpecializedMemory& layout) {
  const SelectiveScanParams& p = args.params;
  const BlockMemory memory(layout);
  const int block_channels = layout.walkers * kWalkerChannels;
  const BlockPlace place = place_of<Config>(args, block_channels);
  const auto tiles = static_cast<unsigned>((place.span.length + Config::kTile - 1) / Config::kTile);
  // Nobody prepares channels that do not exist: their states stay 0.
  if (place.channels < block_channels) {
    for (int i = threadIdx.x; i < SpecializedMemory::kStepSlots * 2 * layout.step_floats; i += blockDim.x) {
      memory.dt(0)[i] = 0.0f;
    }
    __syncthreads();
  }
  if (threadIdx.x < 32 * layout.walkers) {
    run_walker<Config>(p, place, memory, tiles);
  } else if (threadIdx.x < 32 * (layout.walkers + layout.preparers)) {
    run_preparer<Config>(p, place, memory, tiles);
  } else {
    run_finisher<Config>(p, place, memory, tiles);
  }
}

template <typename Config>
__global__ void __launch_bounds__(Config::kMostThreads, 1)
    specialized_scan_kernel(const __grid_constant__ ScanArgs args, const __grid_constant__ SpecializedMemory layout) {
  if constexpr (Config::kExists) scan_block<Config>(args, layout);
}

}  // namespace selective_scan
