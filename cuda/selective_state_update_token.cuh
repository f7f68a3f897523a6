// One token of every channel of every row, where the states of a channel are whole vectors. Reading and writing the
// states binds it: 128 bytes of memory for 60 operations. So what it takes is loads that are all on the way before any
// is waited for, and again while the next ones are worked on.
//
// A block works on its channels for some rows in turn, in groups of kRows: the states of a group are loaded while those
// of the group before are computed, and A is loaded once. Adjacent lanes share a channel and hold four states each.
// What a channel has once a row (softplus, the gate, D) is spread over its lanes: each computes it for one row of the
// group. Lanes past the last channel, row or state repeat it instead of branching around their loads; they store
// nothing.
#pragma once

#include "../native/ops.h"
#include "selective_state_update_lanes.cuh"

namespace selective_scan {

constexpr int kTokenThreads = 128;
constexpr unsigned kMostTokenRows = 16;  // of a block; a warp has a lane for the slot of each

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
  uint32_t lane_bits;  // a channel has 2^lane_bits lanes, at least 4 and at most 32
  uint32_t rows;       // of a block, at most kMostTokenRows
  bool has_z;
  bool delta_softplus;
};

// A launch that may overlap the end of the kernel before it (programmatic dependent launch): blocks start as soon as
// the multiprocessors have room for them, and wait here until all that was written before is visible.
__device__ __forceinline__ void wait_for_earlier_kernels() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Keeps in a register what the compiler would else compute anew at each use, for each row.
template <typename T>
__device__ __forceinline__ T kept(T value) {
  if constexpr (sizeof(T) == 8) {
    asm volatile("" : "+l"(value));
  } else {
    asm volatile("" : "+r"(value));
  }
  return value;
}

template <typename Element, typename State, int kRows>
class TokenLane {
  static_assert(kRows <= 4, "a channel has a lane for each row");

 public:
  __device__ __forceinline__ explicit TokenLane(const TokenArgs& args)
      : args_(args), lane_(threadIdx.x & ((1u << args.lane_bits) - 1)), first_row_(blockIdx.y * args.rows) {
    const uint32_t channel = blockIdx.x * (kTokenThreads >> args.lane_bits) + (threadIdx.x >> args.lane_bits);
    const bool has_states = lane_ * kUpdateVector < args.dstate;
    rows_ = min(args.rows, args.batch - first_row_);
    rows_of_states_ = kept(channel < args.dim && has_states ? rows_ : 0);
    rows_of_channel_ = kept(channel < args.dim && lane_ < kRows ? rows_ : 0);
    channel_ = kept(min(channel, args.dim - 1));
    has_states_ = has_states;

    slot_ = row(threadIdx.x % 32);
    if (args.slots != nullptr) slot_ = args.slots[slot_];
    const uint32_t first_state = has_states ? lane_ * kUpdateVector : 0;
    in_row_ = kept(channel_ * args.dstate + first_state);
    const uint32_t group = args.channels_per_group == args.dim ? 0 : channel_ / args.channels_per_group;
    in_step_ = kept(group * args.dstate + first_state);
  }

  __device__ __forceinline__ void update() {
#pragma unroll
    for (int r = 0; r < kRows; ++r) load_row(r, r);
    load_step(0);
    A_ = *reinterpret_cast<const Chunk<float, kUpdateVector>*>(args_.A + in_row_);
    if (args_.delta_bias != nullptr) delta_bias_ = args_.delta_bias[channel_];
    if (args_.D != nullptr) D_ = args_.D[channel_];
    for (uint32_t first = 0; first < rows_; first += kRows) update_rows(first);
  }

 private:
  __device__ __forceinline__ uint32_t row(uint32_t of_block) const {
    return min(first_row_ + of_block, args_.batch - 1);
  }
  __device__ __forceinline__ uint32_t slot(uint32_t of_block) const { return __shfl_sync(~0u, slot_, of_block); }
  __device__ __forceinline__ State* state_of(uint32_t slot) const {
    return static_cast<State*>(args_.state) + (static_cast<uint64_t>(slot) * args_.row_states + in_row_);
  }
  // The row of the group that begins at `first` whose dt, gate and output are this lane's.
  __device__ __forceinline__ uint32_t own_row(uint32_t first) const { return first + lane_ % kRows; }

  __device__ __forceinline__ void load_row(int r, uint32_t of_block) {
    const uint32_t from = slot(of_block);
    h_[r] = {};
    if (from < args_.slots_end) h_[r] = *reinterpret_cast<const Chunk<State, kUpdateVector>*>(state_of(from));
    const uint32_t step = row(of_block) * args_.step_matrices + in_step_;
    B_[r] = *reinterpret_cast<const Chunk<Element, kUpdateVector>*>(static_cast<const Element*>(args_.B) + step);
    C_[r] = *reinterpret_cast<const Chunk<Element, kUpdateVector>*>(static_cast<const Element*>(args_.C) + step);
  }

  __device__ __forceinline__ void load_step(uint32_t first) {
    const uint32_t step = row(own_row(first)) * args_.dim + channel_;
    delta_ = static_cast<const Element*>(args_.delta)[step];
    u_ = static_cast<const Element*>(args_.u)[step];
    z_ = static_cast<const Element*>(args_.z)[step];
  }

  __device__ __forceinline__ void update_rows(uint32_t first) {
    float dt = static_cast<float>(delta_) + delta_bias_;
    const float u = static_cast<float>(u_);
    const float z = static_cast<float>(z_);
    const uint32_t next = first + kRows;
    if (next < rows_) load_step(next);

    if (args_.delta_softplus) softplus<1, sizeof(Element) == 4>(&dt);
    const float own_rate_dt = kLog2E * dt;
    const float own_du = dt * u;
    float y[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float h[kUpdateVector];
      y[r] = update_row(r, __shfl_sync(~0u, own_rate_dt, r, kRows), __shfl_sync(~0u, own_du, r, kRows), h);
      if (next < rows_) load_row(r, next + r);
      const uint32_t to = slot(first + r);
      if (first + r < rows_of_states_ && to < args_.slots_end) store_chunk(state_of(to), h);
    }

    float out = fmaf(D_, u, sum_over_lanes(y, lane_, 1u << args_.lane_bits));
    if (args_.has_z) out *= silu<Element>(z);
    const auto own_slot = static_cast<int32_t>(slot(own_row(first)));
    if (static_cast<uint32_t>(own_slot) >= args_.slots_end) out = value_without(own_slot);
    if (own_row(first) < rows_of_channel_) {
      const uint32_t step = row(own_row(first)) * args_.dim + channel_;
      static_cast<Element*>(args_.out)[step] = narrow<Element>(out);
    }
  }

  // Takes the states of a row a token further; returns what they give to y.
  __device__ __forceinline__ float update_row(int r, float rate_dt, float du, float (&h)[kUpdateVector]) const {
    float a[kUpdateVector];
    float b[kUpdateVector];
    float c[kUpdateVector];
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
    return has_states_ ? y : 0.0f;
  }

  const TokenArgs& args_;
  const uint32_t lane_;
  const uint32_t first_row_;
  uint32_t rows_;
  uint32_t rows_of_states_;   // whose states this lane stores: all or none
  uint32_t rows_of_channel_;  // whose output it stores: its share of all, or none
  bool has_states_;
  uint32_t channel_;
  uint32_t slot_;     // of the block's row whose number is the lane's in its warp
  uint32_t in_row_;   // of the lane's first state in a row of states
  uint32_t in_step_;  // of its first B and C in a step's

  Chunk<float, kUpdateVector> A_;
  float D_ = 0.0f;
  float delta_bias_ = 0.0f;
  Chunk<State, kUpdateVector> h_[kRows];
  Chunk<Element, kUpdateVector> B_[kRows];
  Chunk<Element, kUpdateVector> C_[kRows];
  Element delta_;
  Element u_;
  Element z_;
};

template <typename Element, typename State, int kRows>
__global__ void __launch_bounds__(kTokenThreads) update_token(const __grid_constant__ TokenArgs args) {
  wait_for_earlier_kernels();
  TokenLane<Element, State, kRows>(args).update();
}

}  // namespace selective_scan
