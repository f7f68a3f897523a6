// The states of a lane, and a step of theirs.
#pragma once

#include "lane_scan_config.cuh"

namespace selective_scan {

// A vector of shared memory.
template <int kCount>
struct alignas(4 * kCount) Floats {
  float values[kCount];
};

// The states of a lane: vectors of up to four, which the lanes of a channel take in turn.
template <typename Config>
struct LaneStates {
  static constexpr int kStates = Config::kStates;
  static constexpr int kVector = kStates < 4 ? kStates : 4;

  float h[kStates];
  float rate[kStates];  // log2(e) * A
  float b[Config::kConstant ? kStates : 1];
  float c[Config::kConstant ? kStates : 1];

  // Of channel `channel`, if it exists; `first` is its first among the states of all pieces. What does not exist keeps
  // rate 0 and value 0.
  __device__ __forceinline__ void load(const SelectiveScanParams& p, int64_t channel, int64_t first, bool exists) {
    const int states = exists ? static_cast<int>(p.dstate) : 0;
    const int64_t row = channel * p.dstate;
    load_row(p.A, row, states, rate);
#pragma unroll
    for (int s = 0; s < kStates; ++s) rate[s] *= kLog2E;
    load_row(p.initial_state, first, p.initial_state != nullptr ? states : 0, h);
    if constexpr (Config::kConstant) {
      load_row(p.B, row, p.varying_b ? 0 : states, b);
      load_row(p.C, row, p.varying_c ? 0 : states, c);
    }
  }

  __device__ __forceinline__ void store(float* last, int64_t dstate) const {
    last += first_state();
    const int states = static_cast<int>(dstate) - first_state();
#pragma unroll
    for (int s = 0; s < kStates; ++s) {
      if (offset(s) < states) last[offset(s)] = h[s];
    }
  }

  // One step; returns this lane's part of the sum of C h. C's vectors lie behind B's.
  template <bool kVaryingB, bool kVaryingC>
  __device__ __forceinline__ float step(float dt, float du, const float* B) {
    float sum = 0.0f;
#pragma unroll
    for (int s = 0; s < kStates; s += kVector) {
      const auto bs = coefficients<kVaryingB>(B + s * Config::kLanes, b, s);
      const auto cs = coefficients<kVaryingC>(B + Config::kWideBytes / 4 + s * Config::kLanes, c, s);
#pragma unroll
      for (int j = 0; j < kVector; ++j) {
        h[s + j] = fmaf(decay_of<typename Config::Element>(dt, rate[s + j]), h[s + j], du * bs.values[j]);
        sum = s + j == 0 ? cs.values[j] * h[0] : fmaf(cs.values[j], h[s + j], sum);
      }
    }
    return sum;
  }

 private:
  // Of a channel's states, the first of this lane, and how far from it its state `s` is.
  static __device__ __forceinline__ int first_state() { return Config::lane_of_channel() * kVector; }
  static constexpr __device__ int offset(int s) { return s / kVector * kVector * Config::kLanes + s % kVector; }

  static __device__ __forceinline__ void load_row(const void* array, int64_t first, int states,
                                                  float (&values)[kStates]) {
    const auto* const row = static_cast<const float*>(array) + first + first_state();
    states -= first_state();
#pragma unroll
    for (int s = 0; s < kStates; ++s) values[s] = offset(s) < states ? row[offset(s)] : 0.0f;
  }

  template <bool kVarying, int kCount>
  static __device__ __forceinline__ Floats<kVector> coefficients(const float* varying, const float (&constant)[kCount],
                                                                 int s) {
    if constexpr (kVarying) {
      return *reinterpret_cast<const Floats<kVector>*>(varying);
    } else {
      Floats<kVector> result;
#pragma unroll
      for (int j = 0; j < kVector; ++j) result.values[j] = constant[s + j];
      return result;
    }
  }
};

}  // namespace selective_scan
