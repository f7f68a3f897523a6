#include "causal_conv1d_update.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "host_integers.h"
#include "tensor_op.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of src/ops/causal-conv1d-update.ts.
constexpr size_t kFirstArray = 5;
enum Array { kState, kX, kWeight, kBias, kDeviceSlots, kOut };

// sizes: [batch, tokens, dim, width, slots, dtype, weightDtype, silu]
CausalConv1dUpdateParams read_params(const Napi::Env& env, const Napi::Value& value) {
  const std::array<int64_t, 8> sizes = sizes_of<8>(value);
  CausalConv1dUpdateParams params;
  params.batch = sizes[0];
  params.tokens = sizes[1];
  params.dim = sizes[2];
  params.width = sizes[3];
  params.slots = sizes[4];
  params.dtype = static_cast<DType>(sizes[5]);
  params.weight_dtype = static_cast<DType>(sizes[6]);
  params.silu = sizes[7] != 0;
  if (params.tokens < 1 || params.dim < 1 || params.width < kLeastConvWidth || params.width > kMostConvWidth) {
    throw to_error(env, {Code::kShape, "Expected tokens and dim of at least 1 and width from 2 to 8."});
  }
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const CausalConv1dUpdateParams& p) {
  const int64_t element = float_size(env, p.dtype);
  const int64_t weight_element = float_size(env, p.weight_dtype);
  const size_t activations = product(env, {p.batch, p.tokens, p.dim, element});
  return {
      {"state", product(env, {p.slots, p.dim, p.width - 1, element}), true, true},
      {"x", activations, true, false},
      {"weight", product(env, {p.dim, p.width, weight_element}), true, false},
      {"bias", product(env, {p.dim, weight_element}), false, false},
      {"slots", product(env, {p.batch, 4}), false, false},
      {"out", activations, true, true},
  };
}

CausalConv1dUpdateParams with_addresses(CausalConv1dUpdateParams params, const std::vector<void*>& at,
                                        const std::vector<int32_t>& host_slots) {
  params.state = at[kState];
  params.x = at[kX];
  params.weight = at[kWeight];
  params.bias = at[kBias];
  params.device_slots = static_cast<const int32_t*>(at[kDeviceSlots]);
  params.out = at[kOut];
  params.host_slots = host_slots.empty() ? nullptr : host_slots.data();
  return params;
}

}  // namespace

Napi::Value causal_conv1d_update(const Napi::CallbackInfo& info) {
  const CausalConv1dUpdateParams params = read_params(info.Env(), info[2]);
  std::vector<int32_t> slots =
      slots_of(info[3], info[kFirstArray + kDeviceSlots], is_on_cpu(info[0]), params.batch, params.slots);
  const TensorOp<CausalConv1dUpdateParams> op = {&Backend::causal_conv1d_update, "causalConv1dUpdate"};
  return run_on_tensors(
      info, op, params.batch > 0, array_specs(info.Env(), params), kFirstArray, info[4],
      [params, slots = std::move(slots)](const std::vector<void*>& at) { return with_addresses(params, at, slots); });
}

}  // namespace selective_scan
