// The channel-parallel scan of 16-bit elements, up to 16 real states a channel, and B and C that vary with time. Two
// lanes share a channel, 8 states each, and each prepares and finishes 8 of 16 steps: (dt, dt * u) and y pass between
// the two by shuffles and not through shared memory, so that what precedes and follows the walk is few instructions.
#pragma once

#include "selective_scan_kernel.cuh"
#include "selective_scan_pair_tiles.cuh"

namespace selective_scan {

// The walk over half a tile. y of this lane's 8 steps, before D and z.
template <typename Config>
__device__ __forceinline__ void walk_pairs(States<Config>& states, const float (&dt)[kPairSteps],
                                           const float (&dtu)[kPairSteps], unsigned B, unsigned lane,
                                           float (&y)[kPairSteps]) {
  constexpr int kC = 2 * Config::kTileBytes;  // from B to C
  const bool second = lane >= 16;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int j = 0; j < kPairSteps; ++j) {
      const int source = lane % 16 + half * 16;
      const float2 input = {__shfl_sync(0xffffffffu, dt[j], source), __shfl_sync(0xffffffffu, dtu[j], source)};
      const int row = Config::coefficient_row(half * kPairSteps + j) * 4;
      const float sum = step<Config>(states, 0, input, B + row, B + row + kC);
      if (half == 0) {
        y[j] = sum;
      } else {
        // Each lane gives away its share of the step that it does not own.
        const float keep = second ? sum : y[j];
        const float give = second ? y[j] : sum;
        y[j] = keep + __shfl_xor_sync(0xffffffffu, give, 16);
      }
      // Keeps the compiler from reading the rows of many steps at once, for which there are no registers.
      if (j % 2 == 1) asm volatile("" ::: "memory");
    }
  }
}

// y of a half to out = (y + D * u) * silu(z).
template <typename Element, Layout kLayout>
__device__ __forceinline__ void finish_half(const PairTiles<Element>& tiles, int turn, int half,
                                            const SelectiveScanParams& p, const PairRows& rows, int steps,
                                            int64_t start, float (&y)[kPairSteps]) {
  using Config = PairConfig<Element>;
  const unsigned lane = fresh_thread() % 32;
  const int channel = Config::lane_channel(lane);
  const int count = channel < rows.channels ? steps - Config::lane_part(lane) * kPairSteps : 0;
  float other[kPairSteps];
  read_pairs<Element, kLayout>(tiles.u[turn], half, rows, lane, other);
  const float D = tiles.D[channel];
#pragma unroll
  for (int j = 0; j < kPairSteps; ++j) y[j] = fmaf(D, other[j], y[j]);
  if (p.z != nullptr) {
    read_pairs<Element, kLayout>(tiles.z[turn], half, rows, lane, other);
#pragma unroll
    for (int j = 0; j < kPairSteps; ++j) y[j] *= silu<Element>(other[j]);
  }
  const int64_t first = start + Config::lane_part(lane) * kPairSteps;
  const int64_t target =
      rows.origin + (kLayout == Layout::kBDL ? channel * rows.pitch + first : first * rows.pitch + channel);
  store_pairs<Element, kLayout>(static_cast<Element*>(p.out) + target, rows, count, y);
}

// One half of a tile, which starts at step `start` and of which `steps` exist. B is where this lane reads.
template <typename Element, Layout kLayout>
__device__ __forceinline__ void scan_half(States<PairConfig<Element>>& states, const PairTiles<Element>& tiles,
                                          int turn, int half, const SelectiveScanParams& p, const PairRows& rows,
                                          int steps, int64_t start, unsigned B) {
  using Config = PairConfig<Element>;
  const unsigned lane = fresh_thread() % 32;
  const int channel = Config::lane_channel(lane);
  const int count = channel < rows.channels ? steps - Config::lane_part(lane) * kPairSteps : 0;
  float other[kPairSteps];
  float dt[kPairSteps];
  float dtu[kPairSteps];
  read_pairs<Element, kLayout>(tiles.delta[turn], half, rows, lane, dt);
  read_pairs<Element, kLayout>(tiles.u[turn], half, rows, lane, other);
  const float bias = tiles.bias[channel];
#pragma unroll
  for (int j = 0; j < kPairSteps; ++j) dt[j] += bias;
  if (p.delta_softplus) {
#pragma unroll
    for (int j = 0; j < kPairSteps; j += 4) softplus<4, Config::kAccurate>(dt + j);
  }
#pragma unroll
  for (int j = 0; j < kPairSteps; ++j) dtu[j] = dt[j] * other[j];
  if (steps < kHalfSteps || rows.channels < Config::kWarpChannels) {
#pragma unroll
    for (int j = 0; j < kPairSteps; ++j) {
      if (j >= count) dt[j] = dtu[j] = 0.0f;
    }
  }
  float y[kPairSteps];
  walk_pairs<Config>(states, dt, dtu, B, lane, y);
  finish_half<Element, kLayout>(tiles, turn, half, p, rows, steps, start, y);
}

// All tiles of this warp's rows.
template <typename Element, Layout kLayout>
__device__ __forceinline__ void scan_pair_tiles(const ScanArgs& args, const PairRows& rows,
                                                States<PairConfig<Element>>& states, PairTiles<Element>& tiles,
                                                const Coefficients<PairConfig<Element>, kLayout> (&both)[2]) {
  using Config = PairConfig<Element>;
  constexpr bool kBdl = kLayout == Layout::kBDL;
  const SelectiveScanParams& p = args.params;
  // What a tile needs is computed anew from shared memory after each walk, which leaves no registers for it.
  const auto pass_at = [&](int64_t start) { return Pass{start, clamp_count(rows.length - start, kPairTile), 0}; };
  Pass pass{-kPairTile, 0, 0};
  int turn = 0;
  // A turn of the loop walks one tile and fetches the next; the first turn only fetches.
  do {
    // Every warp has widened its share of this tile's B and C, and is done with the tile before.
    __syncthreads();
    {
      const Pass next = pass_at(pass.start + kPairTile);
      if (next.steps > 0) {
        const PairPlace<kLayout> place(fresh_thread() % 32, 0);
        const int64_t step = next.start + place.step;
        const int64_t offset =
            rows.origin + (kBdl ? place.channel * rows.pitch + step : step * rows.pitch + place.channel);
        fetch_pairs<Element, kLayout>(tiles.u[turn ^ 1], p.u, offset, rows, next.steps);
        fetch_pairs<Element, kLayout>(tiles.delta[turn ^ 1], p.delta, offset, rows, next.steps);
        if (p.z != nullptr) fetch_pairs<Element, kLayout>(tiles.z[turn ^ 1], p.z, offset, rows, next.steps);
        fetch_coefficients(both, next, both[0].whole && both[1].whole && next.steps == kPairTile);
      }
    }
    commit_copies();
#pragma unroll 1
    for (int half = 0; half * kHalfSteps < pass.steps; ++half) {
      scan_half<Element, kLayout>(states, tiles, turn, half, p, rows, pass.steps - half * kHalfSteps,
                                  pass.start + half * kHalfSteps,
                                  both[0].rows(turn).address + half * Config::coefficient_row(kHalfSteps) * 4);
    }
    wait_for_copies();
    __syncwarp();
    turn ^= 1;
    pass = pass_at(pass.start + kPairTile);
    if (pass.steps > 0) {
      widen_coefficients(both, turn, pass, both[0].whole && both[1].whole && pass.steps == kPairTile);
    }
  } while (pass.steps > 0);
}

template <typename Element, Layout kLayout>
__device__ __forceinline__ void scan_pair_block(const ScanArgs& args) {
  using Config = PairConfig<Element>;
  using Shared = SharedLayout<Config>;
  __shared__ PairRows warp_rows[kMostWarps];
  __shared__ Coefficients<Config, kLayout> both[2];
  const SelectiveScanParams& p = args.params;
  const int warp = threadIdx.x / 32;
  const int first_channel = warp * Config::kWarpChannels;
  const BlockPlace place = locate_block(args, kMostWarps * Config::kWarpChannels);
  if (threadIdx.x % 32 == 0) {
    const int64_t row = place.sequence * p.dim + place.channel + first_channel;
    static_cast<WarpRows&>(warp_rows[warp]) = make_rows<Config>(p, place, first_channel);
    warp_rows[warp].length = place.length;
    warp_rows[warp].row = row;
    warp_rows[warp].total = p.batch * p.dim * p.seqlen;
    const int64_t bases = reinterpret_cast<int64_t>(p.u) | reinterpret_cast<int64_t>(p.delta) |
                          reinterpret_cast<int64_t>(p.z) | reinterpret_cast<int64_t>(p.out);
    warp_rows[warp].covered = kLayout == Layout::kBDL && bases % 16 == 0;
  }
  if (threadIdx.x == 0) {
    both[0] = make_coefficients<Config, kLayout>(p, place, p.B, true);
    both[1] = make_coefficients<Config, kLayout>(p, place, p.C, true);
    both[0].slots_offset = kMostWarps * static_cast<int>(sizeof(PairTiles<Element>));
    both[1].slots_offset = both[0].slots_offset + static_cast<int>(Shared::kStaging);
    both[0].tiles_offset = both[1].slots_offset + static_cast<int>(Shared::kStaging);
    both[1].tiles_offset = both[0].tiles_offset + 2 * both[0].tile_bytes;
  }
  __syncthreads();

  const PairRows& rows = warp_rows[warp];
  PairTiles<Element>& tiles = reinterpret_cast<PairTiles<Element>*>(block_shared())[warp];
  const int64_t channel = place.channel + first_channel;
  const unsigned lane = threadIdx.x % 32;
  if (lane < Config::kWarpChannels) {
    const bool exists = static_cast<int>(lane) < rows.channels;
    tiles.D[lane] = p.D != nullptr && exists ? p.D[channel + lane] : 0.0f;
    tiles.bias[lane] = p.delta_bias != nullptr && exists ? p.delta_bias[channel + lane] : 0.0f;
  }
  const auto at = [&](int64_t row) { return StatePlace<Config>(row, rows.channels, p.dstate, 0); };
  States<Config> states;
  load_states<Config>(states, static_cast<const float*>(p.initial_state), at(rows.row));
  load_rates<Config>(states, static_cast<const float*>(p.A), at(channel));
  scan_pair_tiles<Element, kLayout>(args, rows, states, tiles, both);
  if (p.last_state != nullptr) store_states<Config>(states, static_cast<float*>(p.last_state), at(rows.row));
}

template <typename Element>
__global__ void __launch_bounds__(32 * kMostWarps, 5)
    selective_scan_pairs_kernel(const __grid_constant__ ScanArgs args) {
  if (args.params.layout == Layout::kBDL) {
    scan_pair_block<Element, Layout::kBDL>(args);
  } else {
    scan_pair_block<Element, Layout::kBLD>(args);
  }
}

template <typename Element>
constexpr int pair_shared_bytes() {
  using Config = PairConfig<Element>;
  return kMostWarps * static_cast<int>(sizeof(PairTiles<Element>)) +
         2 * static_cast<int>(SharedLayout<Config>::kStaging) + 4 * Config::kTileBytes;
}

}  // namespace selective_scan
