// One token, or a few, of every channel of every row, with nothing assumed of the sizes; the common case is that of
// selective_state_update_token.cuh. Adjacent lanes share a channel and hold four states each, one vector of memory.
// What a channel has once (softplus, the gate, D) is spread over its lanes: each computes it for one of the rows of the
// batch that a thread works on.
//
// kWhole: the states of a channel are whole vectors, no more than its lanes hold, and stay in registers over all
// tokens. A thread then works on kRows rows, which share its part of A, and all their states are on the way before any
// is used. Otherwise states come by in passes, element by element, and wait in memory between tokens.
#pragma once

#include "../native/ops/selective_state_update.h"
#include "selective_state_update_lanes.cuh"

namespace selective_scan {

constexpr int kUpdateThreads = 128;

struct UpdateArgs {
  SelectiveStateUpdateParams params;
  const int32_t* slots = nullptr;  // device memory; null: row b has slot b
  uint32_t slots_end = 0;          // slots below are there
  float* parked = nullptr;         // where states wait between tokens unless kWhole: [batch, dim, dstate]

  unsigned lane_bits = 2;           // a channel has 2^lane_bits lanes, at least kMostRows and at most 32
  uint32_t channels_per_group = 0;  // where there are several groups: then dim fits 32 bits
  int64_t row_states = 0;           // dim * dstate
  int64_t step_matrices = 0;        // groups * dstate
};

// What a thread does: its lane's part of the states of one channel, for kRows rows at a time.
template <typename Element, typename State, int kRows, bool kWhole>
class UpdateLane {
  static_assert(kRows <= kMostRows, "a channel has a lane for each row");

 public:
  __device__ __forceinline__ explicit UpdateLane(const UpdateArgs& args)
      : args_(args),
        p_(args.params),
        lanes_(1u << args.lane_bits),
        lane_(threadIdx.x & (lanes_ - 1)),
        channel_((static_cast<int64_t>(blockIdx.x) * kUpdateThreads + threadIdx.x) >> args.lane_bits),
        has_channel_(channel_ < p_.dim) {
    if (has_channel_ && p_.groups > 1) group_ = static_cast<uint32_t>(channel_) / args.channels_per_group;
    if (has_channel_ && p_.D != nullptr) D_ = p_.D[channel_];
    if (has_channel_ && p_.delta_bias != nullptr) delta_bias_ = p_.delta_bias[channel_];
  }

  __device__ __forceinline__ void update(int64_t first_row) {
    first_row_ = first_row;
    rows_ = clamp_count(p_.batch - first_row, kRows);
    find_states();
    move_to(0);
    if constexpr (kWhole) load_states(state_, 0);
    for (int64_t token = 0; token < p_.tokens; ++token) update_token(token);
  }

 private:
  __device__ __forceinline__ void find_states() {
    auto* const state = static_cast<State*>(p_.state) + channel_ * p_.dstate;
    if (args_.slots == nullptr) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        has_slot_[r] = r < rows_;
        state_[r] = state + first_row_ * args_.row_states + r * args_.row_states;
      }
      return;
    }
    int32_t slots[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) slots[r] = r < rows_ ? args_.slots[first_row_ + r] : -1;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const auto slot = static_cast<uint32_t>(slots[r]);
      has_slot_[r] = slot < args_.slots_end;
      state_[r] = state + slot * args_.row_states;
    }
  }

  __device__ __forceinline__ void update_token(int64_t token) {
    const int own = lane_ % kRows;
    const int64_t own_step = ((first_row_ + own) * p_.tokens + token) * p_.dim + channel_;
    const bool has_own = has_channel_ && own < rows_;
    // All loads before the first conversion, which would wait.
    Element u_element = Element(0.0f);
    Element delta_element = u_element;
    Element z_element = u_element;
    if (has_own) {
      u_element = static_cast<const Element*>(p_.u)[own_step];
      delta_element = static_cast<const Element*>(p_.delta)[own_step];
      z_element = static_cast<const Element*>(p_.z == nullptr ? p_.u : p_.z)[own_step];
    }
    if constexpr (kWhole) load_matrices(token);
    const float u = static_cast<float>(u_element);
    const float z = static_cast<float>(z_element);
    float own_dt = static_cast<float>(delta_element) + delta_bias_;

    if (p_.delta_softplus) softplus<1, sizeof(Element) == 4>(&own_dt);
    const float own_du = own_dt * u;
    float y[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      rate_dt_[r] = kLog2E * __shfl_sync(~0u, own_dt, r, kRows);
      du_[r] = __shfl_sync(~0u, own_du, r, kRows);
      y[r] = 0.0f;
    }
    if constexpr (kWhole) {
      walk(token, y);
    } else {
      for (int64_t first = 0; first < p_.dstate; first += lanes_ * kUpdateVector) {
        move_to(first);
        if (token == 0) {
          load_states(state_, 0);
        } else {
          load_states(&args_.parked, first_row_ * args_.row_states + channel_ * p_.dstate);
        }
        load_matrices(token);
        walk(token, y);
      }
    }

    float out = fmaf(D_, u, sum_over_lanes(y, lane_, lanes_));
    if (p_.z != nullptr) out *= silu<Element>(z);
    if (has_own && lane_ < kRows) {
      if (args_.slots != nullptr) {
        const int32_t slot = args_.slots[first_row_ + own];
        if (static_cast<uint32_t>(slot) >= args_.slots_end) out = value_without(slot);
      }
      static_cast<Element*>(p_.out)[own_step] = narrow<Element>(out);
    }
  }

  __device__ __forceinline__ void move_to(int64_t first) {
    part_.first = first + lane_ * kUpdateVector;
    part_.count = has_channel_ ? clamp_count(p_.dstate - part_.first, kUpdateVector) : 0;
  }

  __device__ __forceinline__ LanePart part_of(bool row) const { return {part_.first, row ? part_.count : 0}; }

  template <typename From>
  __device__ __forceinline__ void load_states(From* const* rows, int64_t offset) {
    Chunk<From, kUpdateVector> chunks[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) chunks[r] = load_part<kWhole, From>(rows[r] + offset, part_of(has_slot_[r]));
    const auto A_chunk = load_part<kWhole>(p_.A + channel_ * p_.dstate, part_);
    widen_chunk(&A_chunk, A_);
#pragma unroll
    for (int r = 0; r < kRows; ++r) widen_chunk(&chunks[r], h_[r]);
  }

  __device__ __forceinline__ void load_matrices(int64_t token) {
    const int64_t offset = (first_row_ * p_.tokens + token) * args_.step_matrices + group_ * p_.dstate;
    const auto* B = static_cast<const Element*>(p_.B) + offset;
    const auto* C = static_cast<const Element*>(p_.C) + offset;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      B_[r] = load_part<kWhole>(B, part_of(has_slot_[r]));
      C_[r] = load_part<kWhole>(C, part_of(has_slot_[r]));
      B += p_.tokens * args_.step_matrices;
      C += p_.tokens * args_.step_matrices;
    }
  }

  // Takes the states a token further, adds what they give to y, and stores them.
  __device__ __forceinline__ void walk(int64_t token, float (&y)[kRows]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float b[kUpdateVector];
      float c[kUpdateVector];
      widen_chunk(&B_[r], b);
      widen_chunk(&C_[r], c);
#pragma unroll
      for (int j = 0; j < kUpdateVector; ++j) {
        h_[r][j] = fmaf(decay_of<Element>(rate_dt_[r], A_[j]), h_[r][j], du_[r] * b[j]);
        // What lies past the last state stays out of the sum, whatever a step of infinity makes of it.
        if ((kWhole ? 0 : j) < part_.count) y[r] = fmaf(c[j], h_[r][j], y[r]);
      }
    }
    if (token + 1 == p_.tokens) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) store_part<kWhole>(state_[r], part_of(has_slot_[r]), h_[r]);
    } else if constexpr (!kWhole) {
      store_part<kWhole>(args_.parked + first_row_ * args_.row_states + channel_ * p_.dstate, part_, h_[0]);
    }
    if (p_.states != nullptr) store_after(token);
  }

  __device__ __forceinline__ void store_after(int64_t token) const {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = first_row_ + r;
      const float without = r < rows_ && !has_slot_[r] ? value_without(args_.slots[row]) : 0.0f;
      float after[kUpdateVector];
#pragma unroll
      for (int j = 0; j < kUpdateVector; ++j) after[j] = has_slot_[r] ? h_[r][j] : without;
      auto* const target = static_cast<State*>(p_.states) + (row * p_.tokens + token) * args_.row_states;
      store_part<kWhole>(target + channel_ * p_.dstate, part_of(r < rows_), after);
    }
  }

  const UpdateArgs& args_;
  const SelectiveStateUpdateParams& p_;
  const unsigned lanes_;  // of a channel
  const unsigned lane_;
  const int64_t channel_;
  const bool has_channel_;
  int64_t group_ = 0;
  float D_ = 0.0f;
  float delta_bias_ = 0.0f;

  int64_t first_row_;
  int rows_;  // from there on
  bool has_slot_[kRows];
  State* state_[kRows];
  LanePart part_;
  float A_[kUpdateVector];
  float h_[kRows][kUpdateVector];
  Chunk<Element, kUpdateVector> B_[kRows];
  Chunk<Element, kUpdateVector> C_[kRows];
  float rate_dt_[kRows];  // dt log2(e)
  float du_[kRows];       // dt u
};

template <typename Element, typename State, int kRows, bool kWhole>
__global__ void __launch_bounds__(kUpdateThreads) update_states(const __grid_constant__ UpdateArgs args) {
  UpdateLane<Element, State, kRows, kWhole> lane(args);
  for (int64_t row = blockIdx.y * kRows; row < args.params.batch; row += gridDim.y * kRows) lane.update(row);
}

}  // namespace selective_scan
