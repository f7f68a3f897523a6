#include "linear.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "tensor_op.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of src/ops/linear.ts: after the inputs as many outputs as there are.
constexpr size_t kFirstArray = 4;
enum Array { kX, kWeight, kBias, kFirstOut };

// sizes: [rows, in, out, dtype, weightDtype, biasDtype, outDtype, outputs, size of each output...]
LinearParams read_params(const Napi::Env& env, const Napi::Value& value) {
  constexpr size_t kFirstSize = 8;
  const std::array<int64_t, kFirstSize + LinearParams::kMaxOutputs> sizes =
      sizes_of<kFirstSize + LinearParams::kMaxOutputs>(value);
  LinearParams params;
  params.rows = sizes[0];
  params.in_features = sizes[1];
  params.out_features = sizes[2];
  params.dtype = static_cast<DType>(sizes[3]);
  params.weight_dtype = static_cast<DType>(sizes[4]);
  params.bias_dtype = static_cast<DType>(sizes[5]);
  params.out_dtype = static_cast<DType>(sizes[6]);
  if (sizes[7] < 1 || sizes[7] > LinearParams::kMaxOutputs) {
    throw to_error(env, {Code::kShape, "Expected another number of outputs."});
  }
  params.outputs = static_cast<int>(sizes[7]);
  int64_t left = params.out_features;
  for (int i = 0; i < params.outputs; ++i) {
    params.sizes[i] = sizes[kFirstSize + static_cast<size_t>(i)];
    left -= std::min(left + 1, params.sizes[i]);  // one too many is as wrong as any number
  }
  if (left != 0) throw to_error(env, {Code::kShape, "Expected outputs whose sizes sum to the features."});
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const LinearParams& p) {
  std::vector<ArraySpec> specs = {
      {"x", product(env, {p.rows, p.in_features, float_size(env, p.dtype)}), true, false},
      {"weight", product(env, {p.out_features, p.in_features, float_size(env, p.weight_dtype)}), true, false},
      {"bias", product(env, {p.out_features, float_size(env, p.bias_dtype)}), false, false},
  };
  for (int i = 0; i < p.outputs; ++i) {
    specs.push_back({"out", product(env, {p.rows, p.sizes[i], float_size(env, p.out_dtype)}), true, true});
  }
  return specs;
}

LinearParams with_addresses(LinearParams params, const std::vector<void*>& at) {
  params.x = at[kX];
  params.weight = at[kWeight];
  params.bias = at[kBias];
  for (int i = 0; i < params.outputs; ++i) params.out[i] = at[kFirstOut + static_cast<size_t>(i)];
  return params;
}

}  // namespace

Napi::Value linear(const Napi::CallbackInfo& info) {
  const LinearParams params = read_params(info.Env(), info[2]);
  const TensorOp<LinearParams> op = {&Backend::linear, "linear"};
  const bool has_work = params.rows > 0 && params.out_features > 0;
  return run_on_tensors(info, op, has_work, array_specs(info.Env(), params), kFirstArray, info[3],
                        [params](const std::vector<void*>& at) { return with_addresses(params, at); });
}

}  // namespace selective_scan
