// The scan's scalar functions in float32. Each is as accurate as its caller's output type needs, with as few operations
// on the special-function unit as that allows, since that unit is what binds the scan.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "ptx.cuh"

namespace selective_scan {

constexpr float kLog2E = 1.44269504088896341f;

template <typename Element>
__device__ __forceinline__ Element narrow(float value) {
  if constexpr (std::is_same_v<Element, float>) {
    return value;
  } else if constexpr (std::is_same_v<Element, __half>) {
    return __float2half_rn(value);
  } else {
    return __float2bfloat16_rn(value);
  }
}

// 2^(dt * rate), the decay of a state in one step; the exponent is at most 0 for any decaying state. The instruction's
// error has a mean, measured, of -5e-9 near 0 that grows to some -25e-9 at -1/128 and stays there to -1/2. A state that
// decays slowly sums that up over its memory of 1 / (1 - decay) steps, which float32 outputs would show. So what is
// missing on average is added to the exponent.
template <typename Element>
__device__ __forceinline__ float decay_of(float dt, float rate) {
  if constexpr (!std::is_same_v<Element, float>) return exp2_approx(dt * rate);
  constexpr float kNearZero = 0.6e-8f;
  constexpr float kBeyond = 3.4e-8f;
  const float x = fmaf(dt, rate, kNearZero);
  return exp2_approx(fmaf(__saturatef(-121.0f * x), kBeyond - kNearZero, x));
}

// 2^x without the approximation's error of 2^-22 near 0, which a state that decays slowly would sum up: 2^f as 1 + f *
// q(f) on [-0.5, 0.5], with a relative error of q of 4e-7, scaled by a shift of the exponent.
__device__ __forceinline__ float exp2_exact_at_zero(float x) {
  const float whole = rintf(x);
  const float f = x - whole;
  float q = 0.00133335387f;
  q = fmaf(q, f, 0.00966624548f);
  q = fmaf(q, f, 0.0555050021f);
  q = fmaf(q, f, 0.240223513f);
  q = fmaf(q, f, 0.693147144f);
  return fmaf(q, f, 1.0f) * exp2_approx(whole);
}

// log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|)). A minimax polynomial gives log1p(e) / e on [0, 1] with a relative
// error of 3e-8; lg2.approx would be wrong by 1% at x = -12 and cost a special-function operation. Above 17 the second
// term vanishes in float32, so the sum is already the identity there. Several at once, because one is a long chain.
// kAccurate spares the error of ex2.approx, which has a bias that a slow state sums up.
template <int kCount, bool kAccurate>
__device__ __forceinline__ void softplus(float* x) {
  constexpr float kCoefficients[] = {0.00523269411f, -0.0295052372f, 0.0782259478f, -0.136632453f, 0.191060064f,
                                     -0.248429821f,  0.333190968f,   -0.499994931f, 0.99999997f};
  float e[kCount];
  float q[kCount];
#pragma unroll
  for (int j = 0; j < kCount; ++j) {
    float exponent = -kLog2E * fabsf(x[j]);
    // 2^-150 is 0 already, and minus infinity has no whole part to take off. NaN stays what it is.
    if (kAccurate) exponent = exponent < -150.0f ? -150.0f : exponent;
    e[j] = kAccurate ? exp2_exact_at_zero(exponent) : exp2_approx(exponent);
    q[j] = kCoefficients[0];
  }
#pragma unroll
  for (int k = 1; k < 9; ++k) {
#pragma unroll
    for (int j = 0; j < kCount; ++j) q[j] = fmaf(q[j], e[j], kCoefficients[k]);
  }
#pragma unroll
  for (int j = 0; j < kCount; ++j) x[j] = fmaf(q[j], e[j], fmaxf(x[j], 0.0f));
}

// z * sigmoid(z). tanh.approx has a relative error of 2^-11, which only a 16-bit output hides; float32 takes two
// special-function operations instead of one.
template <typename Element>
__device__ __forceinline__ float silu(float z) {
  if constexpr (std::is_same_v<Element, float>) {
    return z * reciprocal_approx(1.0f + exp2_approx(-kLog2E * z));
  } else {
    const float half = 0.5f * z;
    return fmaf(half, tanh_approx(half), half);
  }
}

// An angular rate in half turns, as an unevaluated sum: the phase dt * rate may run to hundreds of turns, of which only
// the fraction counts.
struct HalfTurns {
  float high;
  float low;
};

__device__ __forceinline__ HalfTurns to_half_turns(float radians) {
  constexpr float kInversePiHigh = 0.318309873f;
  constexpr float kInversePiLow = 1.28412766e-8f;
  const float high = radians * kInversePiHigh;
  return {high, fmaf(radians, kInversePiLow, fmaf(radians, kInversePiHigh, -high))};
}

// (cos, sin) of dt * rate. The whole turns are taken off inside a fused multiply-add, so nothing is rounded before.
__device__ __forceinline__ float2 unit_phasor(float dt, float high, float low) {
  const float turns = rintf(0.5f * dt * high);
  const float phase = fmaf(dt, low, fmaf(dt, high, -2.0f * turns));
  float2 phasor;
  sincospif(phase, &phasor.y, &phasor.x);
  return phasor;
}

}  // namespace selective_scan
