#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// The scan one token, or a few, at a time, from and into states that are updated in place (the semantics of mamba_ssm's
// selective_state_update). For each row b, token t, channel d and state n, with h the state in the row's slot:
//   dt = delta + delta_bias[d], then softplus(dt) if delta_softplus (the identity above 20)
//   h[n] = exp(dt * A[d,n]) * h[n] + dt * u * B[n]
//   out = (sum_n C[n] * h[n] + D[d] * u) * silu(z)
// A row's result is the same bits whatever else is in the call.
// h is float32, and rounded to the state's type when it is stored: in `state` after the last token, in `states` after
// each. All arrays are contiguous, in the memory of the queue's device, and any optional one may be null.
struct SelectiveStateUpdateParams {
  int64_t batch = 0;   // >= 0
  int64_t tokens = 1;  // >= 1
  int64_t dim = 0;     // >= 1
  int64_t dstate = 0;  // >= 1
  int64_t groups = 1;  // divides dim; channel d is of group d / (dim / groups)
  int64_t slots = 0;   // states that there are; equal to batch if no slot is named

  DType dtype = DType::kFloat32;        // of u, delta, z, B, C and out: float32, float16 or bfloat16
  DType state_dtype = DType::kFloat32;  // of state and states: any of the same
  bool delta_softplus = false;

  void* state = nullptr;              // [slots, dim, dstate], read and written
  const void* u = nullptr;            // [batch, tokens, dim]
  const void* delta = nullptr;        // as u
  const float* A = nullptr;           // [dim, dstate]
  const void* B = nullptr;            // [batch, tokens, groups, dstate]
  const void* C = nullptr;            // as B
  const float* D = nullptr;           // [dim]
  const void* z = nullptr;            // as u
  const float* delta_bias = nullptr;  // [dim]
  void* out = nullptr;                // as u
  void* states = nullptr;             // [batch, tokens, dim, dstate]

  // The slot of each row, [batch]; without either row b has slot b. A row whose slot is -1 is left out: its out and
  // states are 0. In HOST memory the slots are read before the call returns, each of them -1 or a slot that there is.
  // In the device's memory (of a GPU only) nobody has looked: a row of any other slot gets NaN in out and states, and
  // nothing else happens. Slots other than -1 have to be different from each other.
  const int32_t* host_slots = nullptr;
  const int32_t* device_slots = nullptr;
};

}  // namespace selective_scan
