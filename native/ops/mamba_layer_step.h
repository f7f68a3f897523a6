#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// An array that is float32 or of the call's dtype.
struct FloatArray {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;
};

// Of a step's convolution.
constexpr int kLeastStepWidth = 2;
constexpr int kMostStepWidth = 4;

// One token of every row through one layer of a Mamba language model (Gu and Dao 2023, figure 3; Falcon-Mamba's with
// mixer_norm), from and into states that are updated in place. For each row:
//   residual += hidden
//   x, z = in_proj(residual / sqrt(mean(residual^2) + eps) * norm_weight) + in_bias
//   u = silu(conv_bias + sum_k conv_weight[k] * (conv_state, x)[k]); conv_state takes x in and drops its oldest
//   dt, B, C = x_proj(u), and with mixer_norm each of the three divided by sqrt(mean of its squares + mixer_norm_eps)
//   dt = softplus(dt_proj(dt) + dt_bias)
//   h[d,n] = exp(dt[d] * A[d,n]) * h[d,n] + dt[d] * B[n] * u[d]
//   out = out_proj((sum_n C[n] * h[d,n] + D[d] * u[d]) * silu(z[d])) + out_bias
// Sums are float32; the operands of the three large products are of the call's dtype. A row's result is the same bits
// whatever else is in the call. All arrays are contiguous, in the memory of the queue's device, and only the biases may
// be null.
struct MambaLayerStepParams {
  int64_t batch = 0;    // >= 0
  int64_t hidden = 0;   // >= 1, the model's width
  int64_t dim = 0;      // >= 1, the layer's channels
  int64_t dt_rank = 0;  // >= 1
  int64_t dstate = 0;   // >= 1
  int64_t width = 0;    // of the convolution, kLeastStepWidth to kMostStepWidth
  int64_t slots = 0;    // states that there are; equal to batch if no slot is named

  DType dtype = DType::kFloat32;             // of the input, the matrices and out: float32, float16 or bfloat16
  DType conv_state_dtype = DType::kFloat32;  // float32 or dtype
  DType ssm_state_dtype = DType::kFloat32;   // float32, float16 or bfloat16
  float eps = 1e-5f;
  bool mixer_norm = false;
  float mixer_norm_eps = 1e-6f;

  const void* input = nullptr;     // [batch, hidden]
  float* residual = nullptr;       // [batch, hidden], read and written
  FloatArray norm_weight;          // [hidden]
  const void* in_proj = nullptr;   // [2 * dim, hidden]
  FloatArray in_bias;              // [2 * dim]
  FloatArray conv_weight;          // [dim, width]
  FloatArray conv_bias;            // [dim]
  void* conv_state = nullptr;      // [slots, dim, width - 1], the oldest first, read and written
  const void* x_proj = nullptr;    // [dt_rank + 2 * dstate, dim]
  const void* dt_proj = nullptr;   // [dim, dt_rank]
  const float* dt_bias = nullptr;  // [dim]
  const float* A = nullptr;        // [dim, dstate]
  const float* D = nullptr;        // [dim]
  void* ssm_state = nullptr;       // [slots, dim, dstate], read and written
  const void* out_proj = nullptr;  // [hidden, dim]
  FloatArray out_bias;             // [hidden]
  void* out = nullptr;             // [batch, hidden]

  // As those of SelectiveStateUpdateParams: a row of slot -1 touches no state and its out is 0; on a GPU's own memory a
  // row of a slot that there is not gets NaN. The residual takes the input of every row.
  const int32_t* host_slots = nullptr;
  const int32_t* device_slots = nullptr;
};

}  // namespace selective_scan
