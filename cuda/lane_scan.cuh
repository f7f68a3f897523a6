// The scan of many rows. A lane owns a channel, or a few lanes share one, with its states in registers, and walks time
// in groups of steps:
//   prepare   u, delta          -> dt, dt * u    each lane, its own steps of the group, side by side
//   walk      dt, dt * u, B, C  -> y             every step, the lane's states
//   finish    y, u, z           -> out           each lane, its own steps
// Where lanes share a channel, they share out the first and last part and exchange dt, dt * u and y by shuffles. So no
// value passes through shared memory but the inputs on their way in, which are on their way a tile ahead. Only B and C,
// common to the channels of a block, need a barrier, once a tile.
#pragma once

#include "lane_scan_matrices.cuh"
#include "lane_scan_states.cuh"
#include "lane_scan_steps.cuh"

namespace selective_scan {

// dt and dt * u of this lane's steps. Those that do not exist leave the states as they are.
template <typename Config>
__device__ __forceinline__ void prepare_steps(OwnSteps<Config>& own, float (&du)[Config::kOwn], float bias,
                                              bool delta_softplus, int existing) {
  constexpr int kOwn = Config::kOwn;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) own.delta[i] += bias;
  // What the exponential errs by there is relative to dt, and no state amplifies it.
  if (delta_softplus) softplus<kOwn, false>(own.delta);
  if (existing < kOwn) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      if (i >= existing) own.delta[i] = own.u[i] = 0.0f;
    }
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) du[i] = own.delta[i] * own.u[i];
}

// The value of one of the lanes of a channel.
template <typename Config>
__device__ __forceinline__ float from_lane(float value, int lane) {
  if constexpr (Config::kLanes == 1) return value;
  constexpr int kStay = 31 & ~((Config::kLanes - 1) * Config::kLaneUnit);
  return value_of_lane<kStay>(value, lane * Config::kLaneUnit);
}

__device__ __forceinline__ float choose(bool first, float a, float b) { return first ? a : b; }

// Sums each of kCount values over as many lanes, kUnit apart; `lane` i of them ends up with the sum of value i, in
// values[0]. Each round halves the values that a lane is left with.
template <int kUnit, int kCount>
__device__ __forceinline__ void sum_over_lanes(float (&values)[kCount], unsigned lane) {
  if constexpr (kCount > 1) {
    constexpr int kHalf = kCount / 2;
    const bool upper = (lane & kHalf) != 0;
    float kept[kHalf];
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const float sent = choose(upper, values[i], values[i + kHalf]);
      kept[i] = choose(upper, values[i + kHalf], values[i]) + __shfl_xor_sync(~0u, sent, kHalf * kUnit);
    }
    sum_over_lanes<kUnit>(kept, lane);
    values[0] = kept[0];
  }
}

// y of this lane's steps of a group.
template <bool kVaryingB, bool kVaryingC, typename Config>
__device__ __forceinline__ void walk_steps(LaneStates<Config>& states, const float (&dt)[Config::kOwn],
                                           const float (&du)[Config::kOwn], const float* B, float (&y)[Config::kOwn]) {
  constexpr int kOwn = Config::kOwn;
  constexpr int kLanes = Config::kLanes;
  const unsigned lane = Config::lane_of_channel();
  // Sums that wait for each other take fewer shuffles, and registers that lanes with many states do not have.
  constexpr bool kTogether = Config::kStates <= 4;
  float sums[kTogether ? kOwn : 1][kLanes];
  // Only several steps of a lane's own need to be told apart at compile time.
  constexpr int kUnroll = kOwn == 1 && !kTogether ? 4 : Config::kGroup;
#pragma unroll kUnroll
  for (int t = 0; t < Config::kGroup; ++t) {
    const float step_dt = from_lane<Config>(dt[t % kOwn], t / kOwn);
    const float step_du = from_lane<Config>(du[t % kOwn], t / kOwn);
    float sum = states.template step<kVaryingB, kVaryingC>(step_dt, step_du, B + t * Config::kCapacity);
    if constexpr (kTogether) {
      sums[t % kOwn][t / kOwn] = sum;
    } else {
#pragma unroll
      for (int k = 1; k < kLanes; k *= 2) sum += __shfl_xor_sync(~0u, sum, k * Config::kLaneUnit);
      if (t < kOwn || lane == t / kOwn) y[t % kOwn] = sum;
    }
  }
  if constexpr (kTogether) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      sum_over_lanes<Config::kLaneUnit>(sums[i], lane);
      y[i] = sums[i][0];
    }
  }
}

template <typename Config>
__device__ __forceinline__ void walk_group(const SelectiveScanParams& p, LaneStates<Config>& states,
                                           const float (&dt)[Config::kOwn], const float (&du)[Config::kOwn],
                                           const float* B, float (&y)[Config::kOwn]) {
  if constexpr (!Config::kConstant) {
    walk_steps<true, true>(states, dt, du, B, y);
  } else if (p.varying_b) {
    walk_steps<true, false>(states, dt, du, B, y);
  } else if (p.varying_c) {
    walk_steps<false, true>(states, dt, du, B, y);
  } else {
    walk_steps<false, false>(states, dt, du, B, y);
  }
}

template <typename Config>
__device__ __forceinline__ void finish_steps(const OwnSteps<Config>& own, float D, bool gated,
                                             float (&y)[Config::kOwn]) {
#pragma unroll
  for (int i = 0; i < Config::kOwn; ++i) {
    y[i] = fmaf(D, own.u[i], y[i]);
    if (gated) y[i] *= silu<typename Config::Element>(own.z[i]);
  }
}

template <typename Config>
__device__ __forceinline__ void scan_lanes(const ScanArgs& args) {
  const SelectiveScanParams& p = args.params;
  const int64_t group_channels = p.dim / p.groups;
  const int block_channels = blockDim.x / 32 * Config::kWarpChannels;
  const int64_t blocks = (group_channels + block_channels - 1) / block_channels;  // of a group
  const int64_t block = args.first_block + blockIdx.x;
  const int64_t piece = block / blocks / p.groups;
  const int64_t group = block / blocks % p.groups;
  const unsigned warp = threadIdx.x / 32;
  const int64_t in_group = block % blocks * block_channels + warp * Config::kWarpChannels;
  const int64_t first_channel = group * group_channels + in_group;
  const int channels = clamp_count(group_channels - in_group, Config::kWarpChannels);
  const PieceSpan span = span_of(args, piece);

  __shared__ LaneRows<Config> warp_rows[Config::kMostWarps];
  __shared__ LaneMatrices<Config> matrices;
  if (threadIdx.x % 32 == 0) warp_rows[warp].place(p, piece, span, first_channel, channels);
  if (threadIdx.x == 0) matrices.place(p, span.batch, span.start, group);
  __syncthreads();
  const auto rows = [&]() -> const LaneRows<Config>& { return warp_rows[fresh_thread() / 32]; };
  OwnPlace<Config> place(p, rows());
  const int64_t channel = first_channel + Config::channel();
  LaneStates<Config> states;
  states.load(p, channel, rows().first_state(p), place.exists());
  const float D = p.D != nullptr && place.exists() ? p.D[channel] : 0.0f;
  const float bias = p.delta_bias != nullptr && place.exists() ? p.delta_bias[channel] : 0.0f;

  const auto tiles = static_cast<unsigned>((span.length + Config::kTile - 1) / Config::kTile);
  const int last_steps = static_cast<int>(span.length - (tiles - int64_t{1}) * Config::kTile);
  const auto steps_of = [&](unsigned tile) { return tile + 1 < tiles ? Config::kTile : last_steps; };
  // A tile is walked while the next is on its way. The first turn only fetches, so that the code of a fetch is there
  // once.
#pragma unroll 1
  for (unsigned next = 0; next <= tiles; ++next) {
    const int64_t next_start = int64_t{Config::kTile} * next;
    if (next < tiles) {
      rows().fetch(p, next % 2, next_start, steps_of(next));
      matrices.fetch(p, next % 2, next_start, steps_of(next));
      commit_copies();
    }
    const int64_t start = next_start - Config::kTile;
    const int steps = next > 0 ? steps_of(next - 1) : 0;
    const int turn = (next + 1) % 2;
    const bool direct = place.direct(steps);
    const float* B = matrices.wide(turn, 0) + Config::lane_of_channel() * LaneStates<Config>::kVector;
#pragma unroll 1
    for (int t = 0; t < steps; t += Config::kGroup) {
      OwnSteps<Config> own;
      float du[Config::kOwn];
      float y[Config::kOwn];
      place.read(p, rows(), turn, start, t, own);
      prepare_steps<Config>(own, du, bias, p.delta_softplus, steps - t - place.step());
      walk_group<Config>(p, states, own.delta, du, B, y);
      finish_steps<Config>(own, D, p.z != nullptr, y);
      if (direct) {
        place.store(p, y, t, steps);
      } else {
        if constexpr (Config::kLanes > 1) __syncwarp();  // others have read a word of what it overwrites
        place.leave(y, turn, t);
      }
      B += Config::kGroup * Config::kCapacity;
    }
    if (!direct && steps > 0) rows().flush(p, turn, start, steps);
    wait_for_copies();
    if (next < tiles) matrices.widen(p, next % 2, next_start, steps_of(next));
    __syncthreads();
  }
  auto* last = static_cast<float*>(p.last_state);
  if (last != nullptr && place.exists()) states.store(last + rows().first_state(p), p.dstate);
}

template <typename Config>
__global__ void __launch_bounds__(Config::kBoundWarps * 32, 1) lane_scan_kernel(const __grid_constant__ ScanArgs args) {
  if constexpr (Config::kExists) scan_lanes<Config>(args);
}

}  // namespace selective_scan
