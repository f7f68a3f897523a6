#include "rms_norm.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "tensor_op.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of src/ops/rms-norm.ts.
constexpr size_t kFirstArray = 5;
enum Array { kX, kWeight, kResidual, kOut, kSum };

// sizes: [rows, dim, dtype, weightDtype, outDtype]; numbers: [eps]
RmsNormParams read_params(const Napi::Env& env, const Napi::CallbackInfo& info) {
  const std::array<int64_t, 5> sizes = sizes_of<5>(info[2]);
  RmsNormParams params;
  params.rows = sizes[0];
  params.dim = sizes[1];
  params.dtype = static_cast<DType>(sizes[2]);
  params.weight_dtype = static_cast<DType>(sizes[3]);
  params.out_dtype = static_cast<DType>(sizes[4]);
  params.eps = static_cast<float>(numbers_of<1>(info[3])[0]);
  const bool knows_weight = params.weight_dtype == DType::kFloat32 || params.weight_dtype == params.dtype;
  if (params.dim < 1 || !knows_weight) {
    throw to_error(env, {Code::kShape, "Expected dim of at least 1 and a weight of float32 or of x's dtype."});
  }
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const RmsNormParams& p) {
  const size_t floats = product(env, {p.rows, p.dim, 4});
  return {
      {"x", product(env, {p.rows, p.dim, float_size(env, p.dtype)}), true, false},
      {"weight", product(env, {p.dim, float_size(env, p.weight_dtype)}), true, false},
      {"residual", floats, false, false},
      {"out", product(env, {p.rows, p.dim, float_size(env, p.out_dtype)}), true, true},
      {"sum", floats, false, true},
  };
}

RmsNormParams with_addresses(RmsNormParams params, const std::vector<void*>& at) {
  params.x = at[kX];
  params.weight = at[kWeight];
  params.residual = static_cast<const float*>(at[kResidual]);
  params.out = at[kOut];
  params.sum = static_cast<float*>(at[kSum]);
  return params;
}

}  // namespace

Napi::Value rms_norm(const Napi::CallbackInfo& info) {
  const RmsNormParams params = read_params(info.Env(), info);
  const TensorOp<RmsNormParams> op = {&Backend::rms_norm, "rmsNorm"};
  return run_on_tensors(info, op, params.rows > 0, array_specs(info.Env(), params), kFirstArray, info[4],
                        [params](const std::vector<void*>& at) { return with_addresses(params, at); });
}

}  // namespace selective_scan
