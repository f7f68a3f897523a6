#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// Selective scan (Gu and Dao 2023, algorithm 2; the semantics of mamba_ssm's selective_scan_ref). For each batch b,
// channel d, time t and state n:
//   dt = delta + delta_bias[d], then softplus(dt) if delta_softplus (the identity above 20)
//   h[n] = exp(dt * A[d,n]) * h[n] + dt * u * B[n]
//   y = sum_n C[n] * h[n]      (twice the real part where A is complex)
//   out = (y + D[d] * u) * silu(z)
// All arrays are contiguous, in the memory of the queue's device, and any optional one may be null.
struct SelectiveScanParams {
  int64_t batch = 0;   // >= 0
  int64_t dim = 0;     // >= 1
  int64_t seqlen = 0;  // >= 1
  int64_t dstate = 0;  // >= 1
  int64_t groups = 1;  // divides dim; channel d is of group d / (dim / groups)

  DType dtype = DType::kFloat32;  // of u, delta, z, out and varying B and C: float32, float16 or bfloat16
  Layout layout = Layout::kBDL;
  bool is_complex = false;  // A, constant B and C and the states are complex64, interleaved; else float32
  bool varying_b = true;    // B varies with time; else it is [dim, dstate]
  bool varying_c = true;
  bool delta_softplus = false;
  // A sequence's result is then the same bits whatever else is in the call: how it is computed depends on neither batch
  // nor seqlen nor sequences.
  bool batch_invariant = false;

  const void* u = nullptr;      // 'bdl' [batch, dim, seqlen], 'bld' [batch, seqlen, dim]
  const void* delta = nullptr;  // as u
  const void* A = nullptr;      // [dim, dstate]
  // Varying: 'bdl' [batch, groups, dstate, seqlen], 'bld' [batch, seqlen, groups, dstate]; complex: pairs of reals
  // adjacent in the last axis, which is then twice as long. Constant: [dim, dstate].
  const void* B = nullptr;
  const void* C = nullptr;
  const float* D = nullptr;             // [dim]
  const void* z = nullptr;              // as u
  const float* delta_bias = nullptr;    // [dim]
  const void* initial_state = nullptr;  // [sequences, dim, dstate], float32 or complex64
  void* out = nullptr;                  // as u
  void* last_state = nullptr;           // [sequences, dim, dstate], float32 or complex64

  // Packed sequences: batch is 1 and sequence s covers times cu_seqlens[s] to cu_seqlens[s + 1]. HOST memory, read
  // before the call returns, [sequences + 1], from 0 to seqlen and never falling; a sequence may be empty (its last
  // state is then its initial one). Null: one sequence a batch entry, sequences == batch.
  const int32_t* cu_seqlens = nullptr;
  int64_t sequences = 0;
};

}  // namespace selective_scan
