#include "causal_conv1d.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "host_integers.h"
#include "tensor_op.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of src/ops/causal-conv1d.ts.
constexpr size_t kFirstArray = 5;
enum Array { kX, kWeight, kBias, kInitialState, kOut, kFinalState };

// sizes: [batch, dim, seqlen, width, sequences, dtype, weightDtype, layout, silu]
CausalConv1dParams read_params(const Napi::Env& env, const Napi::Value& value) {
  const std::array<int64_t, 9> sizes = sizes_of<9>(value);
  CausalConv1dParams params;
  params.batch = sizes[0];
  params.dim = sizes[1];
  params.seqlen = sizes[2];
  params.width = sizes[3];
  params.sequences = sizes[4];
  params.dtype = static_cast<DType>(sizes[5]);
  params.weight_dtype = static_cast<DType>(sizes[6]);
  params.layout = sizes[7] == 0 ? Layout::kBDL : Layout::kBLD;
  params.silu = sizes[8] != 0;
  if (params.dim < 1 || params.width < kLeastConvWidth || params.width > kMostConvWidth) {
    throw to_error(env, {Code::kShape, "Expected dim of at least 1 and width from 2 to 8."});
  }
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const CausalConv1dParams& p) {
  const int64_t element = float_size(env, p.dtype);
  const int64_t weight_element = float_size(env, p.weight_dtype);
  const size_t activations = product(env, {p.batch, p.dim, p.seqlen, element});
  const size_t states = product(env, {p.sequences, p.dim, p.width - 1, element});
  return {
      {"x", activations, true, false},
      {"weight", product(env, {p.dim, p.width, weight_element}), true, false},
      {"bias", product(env, {p.dim, weight_element}), false, false},
      {"initialState", states, false, false},
      {"out", activations, true, true},
      {"finalState", states, false, true},
  };
}

CausalConv1dParams with_addresses(CausalConv1dParams params, const std::vector<void*>& at,
                                  const std::vector<int32_t>& cu_seqlens) {
  params.x = at[kX];
  params.weight = at[kWeight];
  params.bias = at[kBias];
  params.initial_state = at[kInitialState];
  params.out = at[kOut];
  params.final_state = at[kFinalState];
  params.cu_seqlens = cu_seqlens.empty() ? nullptr : cu_seqlens.data();
  return params;
}

}  // namespace

Napi::Value causal_conv1d(const Napi::CallbackInfo& info) {
  const CausalConv1dParams params = read_params(info.Env(), info[2]);
  std::vector<int32_t> starts = cu_seqlens_of(info[3], params.batch, params.seqlen, params.sequences);
  const TensorOp<CausalConv1dParams> op = {&Backend::causal_conv1d, "causalConv1d"};
  return run_on_tensors(info, op, params.sequences > 0, array_specs(info.Env(), params), kFirstArray, info[4],
                        [params, starts = std::move(starts)](const std::vector<void*>& at) {
                          return with_addresses(params, at, starts);
                        });
}

}  // namespace selective_scan
