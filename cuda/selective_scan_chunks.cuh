// Scanning few rows in chunks of time. Where sequences * dim is small, a pass over whole sequences leaves most of a GPU
// idle, one step waiting for the one before. So each sequence is cut, and all chunks are scanned twice, side by side:
//   1. from zero, for the state that each chunk adds
//   2. from the state that all the chunks before have left, which the states of pass 1 give, decayed by the sum of dt
// Twice the exponentials, and still several times faster.
#pragma once

#include "queue.cuh"
#include "selective_scan_args.cuh"

namespace selective_scan {

// What pass 1 leaves and pass 2 begins with.
struct Carries {
  float* states = nullptr;                // [pieces, dim, dstate], float32 or complex64
  float* sums = nullptr;                  // [pieces, dim], of dt over the piece
  const int32_t* first_pieces = nullptr;  // [sequences + 1] of a packed batch; null: args.chunks pieces a sequence
};

// sums: the sum of dt = softplus(delta + delta_bias) over each piece of `args`.
cudaError_t sum_steps(const ScanArgs& args, float* sums, cudaStream_t stream);

// Turns the states that pieces add into the states that they begin with, and stores the last of each sequence of
// `params`, the whole call.
cudaError_t carry_states(const SelectiveScanParams& params, const ScanArgs& args, const Carries& carries,
                         cudaStream_t stream);

}  // namespace selective_scan
