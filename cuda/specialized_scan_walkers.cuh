// The walkers of a specialised scan: from dt, dt * u, B and C in shared memory to y in shared memory, and nothing else.
#pragma once

#include "lane_scan.cuh"
#include "specialized_scan_config.cuh"

namespace selective_scan {

template <typename Config>
class Walker {
  static constexpr int kStates = Config::kStates;
  static constexpr int kPiece = Config::kPiece;

 public:
  __device__ __forceinline__ Walker(const SelectiveScanParams& p, const BlockPlace& place)
      : lane_(threadIdx.x / Config::kLaneUnit % Config::kLanes), channel_(channel_of(threadIdx.x)) {
    exists_ = channel_ < place.channels;
    const int64_t channel = place.first_channel + channel_;
    first_state_ = (place.piece * p.dim + channel) * p.dstate + lane_ * kStates;
    states_ = exists_ ? clamp_count(p.dstate - lane_ * kStates, kStates) : 0;
    const float* A = static_cast<const float*>(p.A) + channel * p.dstate + lane_ * kStates;
    const float* initial = static_cast<const float*>(p.initial_state);
    // States and channels that do not exist keep rate 0 and value 0.
#pragma unroll
    for (int s = 0; s < kStates; ++s) {
      rate_[s] = s < states_ ? kLog2E * A[s] : 0.0f;
      h_[s] = s < states_ && initial != nullptr ? initial[first_state_ + s] : 0.0f;
    }
  }

  __device__ __forceinline__ void walk(unsigned tile) {
    const float* dt = Config::dt(tile) + channel_ * Config::kStepPitch;
    const float* du = dt + Config::kStepFloats;
    const float* B = Config::wide(tile, 0) + lane_ * kStates * (Config::kStepMajor ? 1 : Config::kWidePitch);
    const float* C = B + Config::kWideFloats;
    float* y = Config::sums(tile) + channel_ * Config::kStepPitch + lane_;
#pragma unroll 1
    for (int t = 0; t < Config::kTile; t += Config::kGroup) {
      float sums[Config::kGroup];
#pragma unroll
      for (int i = 0; i < Config::kGroup; i += kPiece) {
        const Floats<kPiece> step_dt = *reinterpret_cast<const Floats<kPiece>*>(dt + t + i);
        const Floats<kPiece> step_du = *reinterpret_cast<const Floats<kPiece>*>(du + t + i);
        float b[kPiece][kStates];
        float c[kPiece][kStates];
        read_matrix(B, t + i, b);
        read_matrix(C, t + i, c);
#pragma unroll
        for (int k = 0; k < kPiece; ++k) sums[i + k] = step(step_dt.values[k], step_du.values[k], b[k], c[k]);
      }
      // A lane ends up with the sum of its own step of the group.
      sum_over_lanes<Config::kLaneUnit>(sums, lane_);
      y[t] = sums[0];
    }
  }

  __device__ __forceinline__ void store(float* last) const {
#pragma unroll
    for (int s = 0; s < kStates; ++s) {
      if (s < states_) last[first_state_ + s] = h_[s];
    }
  }

 private:
  static __device__ __forceinline__ int channel_of(unsigned thread) {
    constexpr int kUnit = Config::kLaneUnit;
    return thread / (kUnit * Config::kLanes) * kUnit + thread % kUnit;
  }

  // This lane's states of a piece of steps.
  static __device__ __forceinline__ void read_matrix(const float* matrix, int t, float (&values)[kPiece][kStates]) {
    if constexpr (Config::kStepMajor) {
#pragma unroll
      for (int k = 0; k < kPiece; ++k) {
        const auto vector = *reinterpret_cast<const Floats<kStates>*>(matrix + (t + k) * Config::kWidePitch);
#pragma unroll
        for (int s = 0; s < kStates; ++s) values[k][s] = vector.values[s];
      }
    } else {
#pragma unroll
      for (int s = 0; s < kStates; ++s) {
        const auto vector = *reinterpret_cast<const Floats<kPiece>*>(matrix + s * Config::kWidePitch + t);
#pragma unroll
        for (int k = 0; k < kPiece; ++k) values[k][s] = vector.values[k];
      }
    }
  }

  // One step; returns this lane's part of the sum of C h.
  __device__ __forceinline__ float step(float dt, float du, const float (&b)[kStates], const float (&c)[kStates]) {
    float sum = 0.0f;
#pragma unroll
    for (int s = 0; s < kStates; ++s) {
      h_[s] = fmaf(decay_of<typename Config::Element>(dt, rate_[s]), h_[s], du * b[s]);
      sum = s == 0 ? c[0] * h_[0] : fmaf(c[s], h_[s], sum);
    }
    return sum;
  }

  float h_[kStates];
  float rate_[kStates];  // log2(e) * A
  const int lane_;       // of those that share the channel
  const int channel_;    // of the block
  int states_;           // of this lane, that exist
  bool exists_;
  int64_t first_state_;
};

}  // namespace selective_scan
