// The states of a lane, and the walk over a tile's steps that updates them.
#pragma once

#include "selective_scan_args.cuh"
#include "scan_math.cuh"
#include "tile_io.cuh"

namespace selective_scan {

template <typename Config>
struct States {
  float h[Config::kStates * Config::kReals];
  // log2(e) * A; complex: log2(e) * its real part.
  float rate[Config::kStates];
  HalfTurns turns[Config::kComplex ? Config::kStates : 1];
};

// Where this lane's states lie in a [.., dim, dstate] array. Lanes take states in vectors of 16 bytes in turn, so that
// the lanes of a channel read a row of B without bank conflicts.
template <typename Config>
struct StatePlace {
  static constexpr int kVector = 4 / Config::kReals;

  int64_t first;  // this lane's first state, in states
  int64_t dstate;
  int states;  // from this lane's first state to the end of the channel, at most one pass; none if there is no channel

  // `row` is the warp's first channel, of which `warp_channels` exist.
  __device__ __forceinline__ StatePlace(int64_t row, int warp_channels, int64_t dstate, int64_t first_state)
      : dstate(dstate) {
    const unsigned lane = fresh_thread() % 32;
    const int channel = lane / Config::kLanes;
    const int64_t n = first_state + lane % Config::kLanes * kVector;
    first = (row + channel) * dstate + n;
    states = channel < warp_channels ? clamp_count(dstate - n, Config::kCapacity) : 0;
  }

  // Calls body(j, offset from `first`) for each state of this lane that exists.
  template <typename Body>
  __device__ __forceinline__ void for_each(Body body) const {
#pragma unroll
    for (int j = 0; j < Config::kStates; ++j) {
      const int n = j / kVector * (kVector * Config::kLanes) + j % kVector;
      if (n < states) body(j, n);
    }
  }
};

// States beyond dim or dstate keep rate 0 and value 0 and add nothing.
template <typename Config>
__device__ __forceinline__ void load_rates(States<Config>& states, const float* A, const StatePlace<Config>& place) {
#pragma unroll
  for (int j = 0; j < Config::kStates; ++j) {
    states.rate[j] = 0.0f;
    if constexpr (Config::kComplex) states.turns[j] = {0.0f, 0.0f};
  }
  A += place.first * Config::kReals;
  place.for_each([&](int j, int offset) {
    states.rate[j] = kLog2E * A[offset * Config::kReals];
    if constexpr (Config::kComplex) states.turns[j] = to_half_turns(A[offset * 2 + 1]);
  });
}

template <typename Config>
__device__ __forceinline__ void load_states(States<Config>& states, const float* source,
                                            const StatePlace<Config>& place) {
#pragma unroll
  for (int j = 0; j < Config::kStates * Config::kReals; ++j) states.h[j] = 0.0f;
  if (source == nullptr) return;
  source += place.first * Config::kReals;
  place.for_each([&](int j, int offset) {
#pragma unroll
    for (int r = 0; r < Config::kReals; ++r) {
      states.h[j * Config::kReals + r] = source[offset * Config::kReals + r];
    }
  });
}

template <typename Config>
__device__ __forceinline__ void store_states(const States<Config>& states, float* target,
                                             const StatePlace<Config>& place) {
  target += place.first * Config::kReals;
  place.for_each([&](int j, int offset) {
#pragma unroll
    for (int r = 0; r < Config::kReals; ++r) {
      target[offset * Config::kReals + r] = states.h[j * Config::kReals + r];
    }
  });
}

// Rows of B or C in shared memory as a lane reads them: an address there, and how many bytes further each step reads, 0
// where the matrix is constant. Not a pointer: the compiler would lose its address space in the walk's loop.
struct Rows {
  unsigned address;
  int step_bytes;
};

__device__ __forceinline__ float4 read_shared(unsigned address) {
  return *static_cast<const float4*>(__cvta_shared_to_generic(address));
}

// One step: updates this lane's states and returns this lane's share of sum_n C[n] * h[n].
template <typename Config>
__device__ __forceinline__ float step(States<Config>& states, float2 input, unsigned B, unsigned C) {
  constexpr int kVector = 4 / Config::kReals;
  const float dt = input.x;
  const float dtu = input.y;
  float sum = 0.0f;
#pragma unroll
  for (int j = 0; j < Config::kStates; j += kVector) {
    const float4 b = read_shared(B + j * Config::kReals * Config::kLanes * 4);
    const float4 v = read_shared(C + j * Config::kReals * Config::kLanes * 4);
    float* h = &states.h[j * Config::kReals];
    if constexpr (Config::kComplex) {
      const float bs[4] = {b.x, b.y, b.z, b.w};
      const float cs[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float magnitude = exp2_exact_at_zero(dt * states.rate[j + i]);
        const HalfTurns turns = states.turns[j + i];
        const float2 phasor = unit_phasor(dt, turns.high, turns.low);
        const float decay_re = magnitude * phasor.x;
        const float decay_im = magnitude * phasor.y;
        const float re = h[2 * i];
        const float im = h[2 * i + 1];
        h[2 * i] = fmaf(decay_re, re, fmaf(-decay_im, im, dtu * bs[2 * i]));
        h[2 * i + 1] = fmaf(decay_re, im, fmaf(decay_im, re, dtu * bs[2 * i + 1]));
        sum = fmaf(cs[2 * i], h[2 * i], fmaf(-cs[2 * i + 1], h[2 * i + 1], sum));
      }
    } else {
      const float* rate = &states.rate[j];
      h[0] = fmaf(decay_of<typename Config::Element>(dt, rate[0]), h[0], dtu * b.x);
      h[1] = fmaf(decay_of<typename Config::Element>(dt, rate[1]), h[1], dtu * b.y);
      h[2] = fmaf(decay_of<typename Config::Element>(dt, rate[2]), h[2], dtu * b.z);
      h[3] = fmaf(decay_of<typename Config::Element>(dt, rate[3]), h[3], dtu * b.w);
      sum = fmaf(v.x, h[0], sum);
      sum = fmaf(v.y, h[1], sum);
      sum = fmaf(v.z, h[2], sum);
      sum = fmaf(v.w, h[3], sum);
    }
  }
  return Config::kComplex ? 2.0f * sum : sum;
}

// Sums kCount values over as many adjacent lanes by exchanging halves: one shuffle a value instead of log2(kCount). The
// total of value reduced_index(lane) is left in values[0].
template <int kCount>
__device__ __forceinline__ void reduce_over_lanes(float (&values)[kCount], unsigned lane) {
#pragma unroll
  for (int mask = 1; mask < kCount; mask *= 2) {
    const int half = kCount / (2 * mask);
    const bool upper = lane & mask;
#pragma unroll
    for (int i = 0; i < half; ++i) {
      const float keep = upper ? values[i + half] : values[i];
      const float give = upper ? values[i] : values[i + half];
      values[i] = keep + __shfl_xor_sync(0xffffffffu, give, mask);
    }
  }
}

template <int kCount>
__device__ __forceinline__ int reduced_index(unsigned lane) {
  int index = 0;
#pragma unroll
  for (int mask = 1; mask < kCount; mask *= 2) index += lane & mask ? kCount / (2 * mask) : 0;
  return index;
}

// Walks the tile. `inputs` is [step][channel] of (dt, dt * u); `sums` receives y before D and z, or adds it to the sums
// of the passes before. Steps beyond the sequence hold dt = 0 and u = 0, which leave the states as they are.
template <typename Config>
__device__ __forceinline__ void walk_tile(States<Config>& states, const float2* inputs, Rows B, Rows C, float* sums,
                                          int steps, bool accumulate) {
  constexpr int kLanes = Config::kLanes;
  static_assert(Config::kTile % kLanes == 0, "a turn of the loop walks as many steps as lanes share a channel");
  const unsigned lane = fresh_thread() % 32;
  const int channel = lane / kLanes;
  inputs += channel;
  sums += reduced_index<kLanes>(lane) * Config::kSumPitch + channel;

  for (int t = 0; t < steps; t += kLanes) {
    float values[kLanes];
#pragma unroll
    for (int s = 0; s < kLanes; ++s) {
      values[s] = 0.0f;
      // A step that does not exist leaves real states as they are, being one of 0; but a part of a complex state that
      // is not finite would reach the other part.
      if (!Config::kComplex || t + s < steps) {
        values[s] = step<Config>(states, inputs[s * Config::kStepPitch], B.address, C.address);
      }
      // Keeps the compiler from reading the rows of many steps at once, for which there are no registers.
      if (s % 2 == 1) asm volatile("" ::: "memory");
      B.address += B.step_bytes;
      C.address += C.step_bytes;
    }
    // After all steps, so that the shuffles wait together. Each lane of a channel ends up with the sum of one step.
    reduce_over_lanes<kLanes>(values, lane);
    *sums = accumulate ? *sums + values[0] : values[0];
    inputs += kLanes * Config::kStepPitch;
    sums += kLanes * Config::kSumPitch;
  }
}

}  // namespace selective_scan
