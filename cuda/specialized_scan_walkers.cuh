// The walkers of a specialised scan: from dt, dt * u, B and C in shared memory to y in shared memory, and nothing else.
#pragma once

#include "specialized_scan_config.cuh"

namespace selective_scan {

template <typename Config>
class Walker {
  static constexpr int kStates = Config::kStates;
  static constexpr int kTile = Config::kTile;
  static constexpr int kSteps = 4;  // that are walked together
  static constexpr int kSumStep = Config::kBdl ? 1 : Config::kLanes;
  static_assert(kStates == 2 && kTile % kSteps == 0, "two states a lane, and whole groups");

  // Where a lane's inputs of a tile are.
  struct Place {
    const float* dt;
    const float* du;
    const float* B;
    const float* C;
  };

  // Of a group of steps: what is read of shared memory, and what comes of it before states are known.
  struct Inputs {
    float dt[kSteps];
    float du[kSteps];
    float b[kSteps][kStates];
    float c[kSteps][kStates];
  };
  struct Terms {
    float decay[kSteps][kStates];
    float added[kSteps][kStates];
    float c[kSteps][kStates];
  };

 public:
  __device__ __forceinline__ Walker(const SelectiveScanParams& p, const BlockPlace& place, const BlockMemory& memory)
      : memory_(memory) {
    // Adjacent lanes take different channels: a vector costs half as much when two neighbours read the same one.
    constexpr int kUnit = 2;
    const int lane = threadIdx.x / kUnit % Config::kLanes;
    const int channel = threadIdx.x / (kUnit * Config::kLanes) * kUnit + threadIdx.x % kUnit;
    const int64_t row = place.first_channel + channel;
    const int first = lane * kStates;
    first_state_ = (place.piece * p.dim + row) * p.dstate + first;
    states_ = channel < place.channels ? clamp_count(p.dstate - first, kStates) : 0;
    step_at_ = channel * Config::kStepPitch;
    wide_at_ = lane * Config::kWidePitch;
    sum_at_ = channel * memory.m.sum_pitch + lane * (Config::kBdl ? Config::kStepPitch : 1);
    const float* A = static_cast<const float*>(p.A) + row * p.dstate + first;
    const float* initial = static_cast<const float*>(p.initial_state);
    // States and channels that do not exist keep rate 0 and value 0.
#pragma unroll
    for (int s = 0; s < kStates; ++s) {
      rate_[s] = s < states_ ? kLog2E * A[s] : 0.0f;
      h_[s] = s < states_ && initial != nullptr ? initial[first_state_ + s] : 0.0f;
    }
  }

  // Two groups of steps ahead, whose loads and exponentials then run beside the chain of states.
  __device__ __forceinline__ void begin() {
    const Place first = place(0);
    read(first, 0);
    prepare();
    read(first, kSteps);
  }

  // `next` is the tile after it, or the same again.
  __device__ __forceinline__ void walk(unsigned tile, unsigned next) {
    float* const sums = memory_.sums(tile) + sum_at_;
    const Place here = place(tile);
    // Unrolled, so that addresses are constants: a walker has an instruction a step to spare, not more.
#pragma unroll
    for (int t = 0; t < kTile - 2 * kSteps; t += kSteps) walk_group(here, t + 2 * kSteps, sums + t * kSumStep);
    const Place after = place(next);
    walk_group(after, 0, sums + (kTile - 2 * kSteps) * kSumStep);
    walk_group(after, kSteps, sums + (kTile - kSteps) * kSumStep);
  }

  __device__ __forceinline__ void store(float* last) const {
#pragma unroll
    for (int s = 0; s < kStates; ++s) {
      if (s < states_) last[first_state_ + s] = h_[s];
    }
  }

 private:
  __device__ __forceinline__ Place place(unsigned tile) const {
    return {memory_.dt(tile) + step_at_, memory_.du(tile) + step_at_, memory_.wide(tile, 0) + wide_at_,
            memory_.wide(tile, 1) + wide_at_};
  }

  __device__ __forceinline__ void walk_group(const Place& later, int later_step, float* sums) {
    const Terms now = terms_;
    prepare();
    read(later, later_step);
    float y[kSteps];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
#pragma unroll
      for (int s = 0; s < kStates; ++s) h_[s] = fmaf(now.decay[k][s], h_[s], now.added[k][s]);
      y[k] = fmaf(now.c[k][1], h_[1], now.c[k][0] * h_[0]);
    }
    if constexpr (Config::kBdl) {
      store_shared(sums, y);
    } else {
#pragma unroll
      for (int k = 0; k < kSteps; ++k) sums[k * kSumStep] = y[k];
    }
  }

  __device__ __forceinline__ void prepare() {
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
#pragma unroll
      for (int s = 0; s < kStates; ++s) {
        terms_.decay[k][s] = decay_of<typename Config::Element>(inputs_.dt[k], rate_[s]);
        terms_.added[k][s] = inputs_.du[k] * inputs_.b[k][s];
        terms_.c[k][s] = inputs_.c[k][s];
      }
    }
  }

  __device__ __forceinline__ void read(const Place& place, int t) {
    using Vector = Chunk<float, kSteps>;
    widen_chunk(reinterpret_cast<const Vector*>(place.dt + t), inputs_.dt);
    widen_chunk(reinterpret_cast<const Vector*>(place.du + t), inputs_.du);
    read_matrix(place.B, t, inputs_.b);
    read_matrix(place.C, t, inputs_.c);
  }

  static __device__ __forceinline__ void read_matrix(const float* wide, int t, float (&values)[kSteps][kStates]) {
    using Vector = Chunk<float, 4>;
    float first[4];
    float second[4];
    if constexpr (Config::kBdl) {
      widen_chunk(reinterpret_cast<const Vector*>(wide + t), first);
      widen_chunk(reinterpret_cast<const Vector*>(wide + Config::kLanes * Config::kWidePitch + t), second);
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        values[k][0] = first[k];
        values[k][1] = second[k];
      }
    } else {
      widen_chunk(reinterpret_cast<const Vector*>(wide + 2 * t), first);
      widen_chunk(reinterpret_cast<const Vector*>(wide + 2 * t + 4), second);
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        values[k][0] = k < 2 ? first[2 * k] : second[2 * k - 4];
        values[k][1] = k < 2 ? first[2 * k + 1] : second[2 * k - 3];
      }
    }
  }

  const BlockMemory& memory_;
  float h_[kStates];
  float rate_[kStates];  // log2(e) * A
  Terms terms_;          // of the next group
  Inputs inputs_;        // of the one after it
  int states_;           // of this lane, that exist
  int step_at_;          // in floats
  int wide_at_;
  int sum_at_;
  int64_t first_state_;
};

}  // namespace selective_scan
