// The op: a convolution of sequences of a few steps, whose states are the rows of a pool. Once begun it is finished, so
// that no state is left half updated.
#include "causal_conv1d_update.h"

#include "causal_conv1d.h"

namespace selective_scan {

Status cpu_causal_conv1d_update(const Call&, const CausalConv1dUpdateParams& params) {
  CausalConv1dParams sequences;
  sequences.batch = params.batch;
  sequences.dim = params.dim;
  sequences.seqlen = params.tokens;
  sequences.width = params.width;
  sequences.dtype = params.dtype;
  sequences.weight_dtype = params.weight_dtype;
  sequences.layout = Layout::kBLD;
  sequences.silu = params.silu;
  sequences.x = params.x;
  sequences.weight = params.weight;
  sequences.bias = params.bias;
  sequences.initial_state = params.state;
  sequences.out = params.out;
  sequences.final_state = params.state;
  sequences.sequences = params.batch;
  return convolve_on_cpu(Call(), sequences, params.host_slots);
}

}  // namespace selective_scan
