// One token of every channel of every row, where the states of a channel are whole vectors and are not kept. Memory
// binds it: each state is read and written once, for about five operations. So what it takes is that all loads of a
// thread are on the way before it waits for any, and that many threads are at it.
//
// Adjacent lanes share a channel and hold four states each, of kRows rows, which share A. What a channel has once a row
// (softplus, the gate, D) is spread over its lanes: each computes it for one of the rows. Lanes past the last channel,
// row or state repeat it instead of branching around their loads; they store nothing.
#pragma once

#include "../native/ops/selective_state_update.h"
#include "early_launch.cuh"
#include "selective_state_update_lanes.cuh"

namespace selective_scan {

constexpr int kTokenThreads = 128;

// Offsets fit 32 bits, but for those of rows of states.
struct TokenArgs {
  void* state;
  const void* u;
  const void* delta;
  const void* z;  // u where there is none
  const float* A;
  const void* B;
  const void* C;
  const float* D;
  const float* delta_bias;
  void* out;
  const int32_t* slots;  // device memory; null: row b has slot b
  uint32_t slots_end;    // slots below are there
  uint32_t batch;
  uint32_t dim;
  uint32_t dstate;
  uint32_t row_states;     // dim * dstate
  uint32_t step_matrices;  // groups * dstate
  uint32_t channels_per_group;
  uint32_t lane_bits;  // a channel has 2^lane_bits lanes, at least kMostRows and at most 32
  bool has_z;
  bool delta_softplus;
};

// Fetches into the second-level cache, which all multiprocessors share, so that it is allowed before the wait. Memory
// and bytes are multiples of 16.
__device__ __forceinline__ void prefetch(const void* memory, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(memory), "r"(bytes));
#endif
}

// Keeps in a register what the compiler would else compute anew at each use.
__device__ __forceinline__ uint32_t kept(uint32_t value) {
  asm volatile("" : "+r"(value));
  return value;
}

template <typename Element, typename State, int kRows>
class TokenLane {
  static_assert(kRows <= kMostRows, "a channel has a lane for each row");

 public:
  __device__ __forceinline__ explicit TokenLane(const TokenArgs& args)
      : args_(args),
        lane_(threadIdx.x & ((1u << args.lane_bits) - 1)),
        has_states_(lane_ * kUpdateVector < args.dstate),
        first_row_(blockIdx.y * kRows) {
    const uint32_t channel = blockIdx.x * (kTokenThreads >> args.lane_bits) + (threadIdx.x >> args.lane_bits);
    const uint32_t rows = min(kRows, args.batch - first_row_);
    stored_rows_ = kept(channel < args.dim && has_states_ ? rows : 0);
    has_output_ = channel < args.dim && lane_ < rows && lane_ < kRows;
    const uint32_t last_channel = min(channel, args.dim - 1);
    const uint32_t first_state = has_states_ ? lane_ * kUpdateVector : 0;
    const uint32_t group = args.channels_per_group == args.dim ? 0 : last_channel / args.channels_per_group;
    in_row_ = kept(last_channel * args.dstate + first_state);
    in_step_ = kept(group * args.dstate + first_state);
    channel_ = kept(last_channel);
    own_step_ = kept(row(lane_ % kRows) * args.dim + channel_);
  }

  // The states of the block's rows, where they are known before the wait and begin where a prefetch can.
  __device__ __forceinline__ void prefetch_states() const {
    const uint32_t channels = kTokenThreads >> args_.lane_bits;
    const uint32_t first = blockIdx.x * channels;
    if (args_.slots != nullptr || args_.row_states * sizeof(State) % 16 != 0 || threadIdx.x >= kRows) return;
    const uint32_t states = min(channels, args_.dim - first) * args_.dstate;
    const uint64_t offset = static_cast<uint64_t>(row(threadIdx.x)) * args_.row_states + first * args_.dstate;
    prefetch(static_cast<const State*>(args_.state) + offset, states * sizeof(State));
  }

  __device__ __forceinline__ void update() {
    load();
    // The compiler would put off the loads whose values are used last until others have come.
    __syncwarp();

    float dt = static_cast<float>(delta_) + delta_bias_;
    const float u = static_cast<float>(u_);
    if (args_.delta_softplus) softplus<1, sizeof(Element) == 4>(&dt);
    const float own_rate_dt = kLog2E * dt;
    const float own_du = dt * u;
    float y[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float rate_dt = __shfl_sync(~0u, own_rate_dt, r, kRows);
      const float du = __shfl_sync(~0u, own_du, r, kRows);
      y[r] = update_row(r, rate_dt, du);
    }
    float out = fmaf(D_, u, sum_over_lanes(y, lane_, 1u << args_.lane_bits));
    if (args_.has_z) out *= silu<Element>(static_cast<float>(z_));
    if (!has_output_) return;
    if (args_.slots != nullptr) {
      const int32_t slot = args_.slots[row(lane_ % kRows)];
      if (static_cast<uint32_t>(slot) >= args_.slots_end) out = value_without(slot);
    }
    static_cast<Element*>(args_.out)[own_step_] = narrow<Element>(out);
  }

 private:
  __device__ __forceinline__ uint32_t row(uint32_t of_block) const {
    return min(first_row_ + of_block, args_.batch - 1);
  }
  __device__ __forceinline__ State* states(int r) const {
    return static_cast<State*>(args_.state) + (static_cast<uint64_t>(slot_[r]) * args_.row_states + in_row_);
  }

  __device__ __forceinline__ void load() {
#pragma unroll
    for (int r = 0; r < kRows; ++r) slot_[r] = row(r);
    if (args_.slots != nullptr) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) slot_[r] = args_.slots[slot_[r]];
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      h_[r] = {};
      if (slot_[r] < args_.slots_end) h_[r] = *reinterpret_cast<const Chunk<State, kUpdateVector>*>(states(r));
    }
    delta_ = static_cast<const Element*>(args_.delta)[own_step_];
    u_ = static_cast<const Element*>(args_.u)[own_step_];
    z_ = static_cast<const Element*>(args_.z)[own_step_];
    A_ = *reinterpret_cast<const Chunk<float, kUpdateVector>*>(args_.A + in_row_);
    if (args_.delta_bias != nullptr) delta_bias_ = args_.delta_bias[channel_];
    if (args_.D != nullptr) D_ = args_.D[channel_];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const uint32_t step = row(r) * args_.step_matrices + in_step_;
      B_[r] = *reinterpret_cast<const Chunk<Element, kUpdateVector>*>(static_cast<const Element*>(args_.B) + step);
      C_[r] = *reinterpret_cast<const Chunk<Element, kUpdateVector>*>(static_cast<const Element*>(args_.C) + step);
    }
  }

  // Takes the states of a row a token further and stores them; returns what they give to y.
  __device__ __forceinline__ float update_row(int r, float rate_dt, float du) const {
    float a[kUpdateVector];
    float b[kUpdateVector];
    float c[kUpdateVector];
    float h[kUpdateVector];
    widen_chunk(&A_, a);
    widen_chunk(&B_[r], b);
    widen_chunk(&C_[r], c);
    widen_chunk(&h_[r], h);
    float y = 0.0f;
#pragma unroll
    for (int j = 0; j < kUpdateVector; ++j) {
      h[j] = fmaf(decay_of<Element>(rate_dt, a[j]), h[j], du * b[j]);
      y = fmaf(c[j], h[j], y);
    }
    if (r < stored_rows_ && slot_[r] < args_.slots_end) store_chunk(states(r), h);
    return has_states_ ? y : 0.0f;
  }

  const TokenArgs& args_;
  const uint32_t lane_;
  const bool has_states_;
  const uint32_t first_row_;
  uint32_t stored_rows_;  // of whose states this lane stores its own: all or none
  bool has_output_;
  uint32_t in_row_;   // where the lane's states begin in a row of states
  uint32_t in_step_;  // where its B and C begin in a step's
  uint32_t channel_;
  uint32_t own_step_;  // of the row whose dt, gate and output are this lane's: its u, delta, z and out

  uint32_t slot_[kRows];
  Chunk<State, kUpdateVector> h_[kRows];
  Chunk<float, kUpdateVector> A_;
  Chunk<Element, kUpdateVector> B_[kRows];
  Chunk<Element, kUpdateVector> C_[kRows];
  float D_ = 0.0f;
  float delta_bias_ = 0.0f;
  Element delta_;
  Element u_;
  Element z_;
};

template <typename Element, typename State, int kRows>
__global__ void __launch_bounds__(kTokenThreads) update_token(const __grid_constant__ TokenArgs args) {
  TokenLane<Element, State, kRows> lane(args);
  // With one row a thread there is room for all blocks before the wait. With more, most of them come when the wait is
  // over, and the prefetch only adds traffic to the second-level cache, which is what binds then.
  if constexpr (kRows == 1) lane.prefetch_states();
  wait_for_earlier_kernels();
  lane.update();
}

}  // namespace selective_scan
