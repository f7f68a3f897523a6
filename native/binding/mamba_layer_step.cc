#include "mamba_layer_step.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "host_integers.h"
#include "tensor_op.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of src/ops/mamba-layer-step.ts.
constexpr size_t kFirstArray = 7;
enum Array {
  kHidden,
  kResidual,
  kNormWeight,
  kInProj,
  kConvWeight,
  kConvState,
  kXProj,
  kDtProj,
  kDtBias,
  kA,
  kD,
  kSsmState,
  kOutProj,
  kInProjBias,
  kConvBias,
  kOutProjBias,
  kDeviceSlots,
  kOut
};

// sizes: [batch, hidden, dim, dtRank, dstate, width, slots], then the dtypes [dtype, convState, ssmState, normWeight,
// inProjBias, convWeight, convBias, outProjBias]
MambaLayerStepParams read_params(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::array<int64_t, 15> sizes = sizes_of<15>(info[2]);
  const auto dtype_at = [&](size_t i) { return static_cast<DType>(sizes[i]); };
  MambaLayerStepParams params;
  params.batch = sizes[0];
  params.hidden = sizes[1];
  params.dim = sizes[2];
  params.dt_rank = sizes[3];
  params.dstate = sizes[4];
  params.width = sizes[5];
  params.slots = sizes[6];
  params.dtype = dtype_at(7);
  params.conv_state_dtype = dtype_at(8);
  params.ssm_state_dtype = dtype_at(9);
  params.norm_weight.dtype = dtype_at(10);
  params.in_bias.dtype = dtype_at(11);
  params.conv_weight.dtype = dtype_at(12);
  params.conv_bias.dtype = dtype_at(13);
  params.out_bias.dtype = dtype_at(14);
  params.eps = info[3].As<Napi::Number>().FloatValue();
  params.mixer_norm = !info[4].IsUndefined();
  if (params.mixer_norm) params.mixer_norm_eps = info[4].As<Napi::Number>().FloatValue();

  const bool has_sizes = params.hidden >= 1 && params.dim >= 1 && params.dt_rank >= 1 && params.dstate >= 1;
  if (!has_sizes || params.width < kLeastStepWidth || params.width > kMostStepWidth) {
    throw to_error(env, {Code::kShape, "Expected hidden, dim, dtRank and dstate of at least 1 and width from 2 to 4."});
  }
  for (const DType dtype : {params.conv_state_dtype, params.norm_weight.dtype, params.in_bias.dtype,
                            params.conv_weight.dtype, params.conv_bias.dtype, params.out_bias.dtype}) {
    if (dtype != DType::kFloat32 && dtype != params.dtype) {
      throw to_error(env, {Code::kShape, "Expected arrays of float32 or of the dtype of hidden."});
    }
  }
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const MambaLayerStepParams& p) {
  const int64_t element = float_size(env, p.dtype);
  const int64_t selected = p.dt_rank + static_cast<int64_t>(product(env, {2, p.dstate}));
  const size_t rows = product(env, {p.batch, p.hidden, element});
  const size_t channels = product(env, {p.dim, 4});
  const auto array = [&](const FloatArray& of, std::initializer_list<int64_t> axes) {
    size_t count = 1;
    for (const int64_t axis : axes) count = product(env, {static_cast<int64_t>(count), axis});
    return product(env, {static_cast<int64_t>(count), float_size(env, of.dtype)});
  };
  return {
      {"hidden", rows, true, false},
      {"residual", product(env, {p.batch, p.hidden, 4}), true, true},
      {"normWeight", array(p.norm_weight, {p.hidden}), true, false},
      {"inProj", product(env, {2, p.dim, p.hidden, element}), true, false},
      {"convWeight", array(p.conv_weight, {p.dim, p.width}), true, false},
      {"convState", product(env, {p.slots, p.dim, p.width - 1, float_size(env, p.conv_state_dtype)}), true, true},
      {"xProj", product(env, {selected, p.dim, element}), true, false},
      {"dtProj", product(env, {p.dim, p.dt_rank, element}), true, false},
      {"dtBias", channels, true, false},
      {"A", product(env, {p.dim, p.dstate, 4}), true, false},
      {"D", channels, true, false},
      {"ssmState", product(env, {p.slots, p.dim, p.dstate, float_size(env, p.ssm_state_dtype)}), true, true},
      {"outProj", product(env, {p.hidden, p.dim, element}), true, false},
      {"inProjBias", array(p.in_bias, {2, p.dim}), false, false},
      {"convBias", array(p.conv_bias, {p.dim}), false, false},
      {"outProjBias", array(p.out_bias, {p.hidden}), false, false},
      {"slots", product(env, {p.batch, 4}), false, false},
      {"out", rows, true, true},
  };
}

MambaLayerStepParams with_addresses(MambaLayerStepParams params, const std::vector<void*>& at,
                                    const std::vector<int32_t>& host_slots) {
  params.input = at[kHidden];
  params.residual = static_cast<float*>(at[kResidual]);
  params.norm_weight.data = at[kNormWeight];
  params.in_proj = at[kInProj];
  params.conv_weight.data = at[kConvWeight];
  params.conv_state = at[kConvState];
  params.x_proj = at[kXProj];
  params.dt_proj = at[kDtProj];
  params.dt_bias = static_cast<const float*>(at[kDtBias]);
  params.A = static_cast<const float*>(at[kA]);
  params.D = static_cast<const float*>(at[kD]);
  params.ssm_state = at[kSsmState];
  params.out_proj = at[kOutProj];
  params.in_bias.data = at[kInProjBias];
  params.conv_bias.data = at[kConvBias];
  params.out_bias.data = at[kOutProjBias];
  params.device_slots = static_cast<const int32_t*>(at[kDeviceSlots]);
  params.out = at[kOut];
  params.host_slots = host_slots.empty() ? nullptr : host_slots.data();
  return params;
}

}  // namespace

Napi::Value mamba_layer_step(const Napi::CallbackInfo& info) {
  const MambaLayerStepParams params = read_params(info);
  std::vector<int32_t> slots =
      slots_of(info[5], info[kFirstArray + kDeviceSlots], is_on_cpu(info[0]), params.batch, params.slots);
  const TensorOp<MambaLayerStepParams> op = {&Backend::mamba_layer_step, "mambaLayerStep"};
  return run_on_tensors(
      info, op, params.batch > 0, array_specs(info.Env(), params), kFirstArray, info[6],
      [params, slots = std::move(slots)](const std::vector<void*>& at) { return with_addresses(params, at, slots); });
}

}  // namespace selective_scan
