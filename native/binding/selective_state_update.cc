#include "selective_state_update.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "host_integers.h"
#include "tensor_op.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of src/ops/selective-state-update.ts.
constexpr size_t kFirstArray = 5;
enum Array { kState, kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias, kDeviceSlots, kOut, kStates };

// sizes: [batch, tokens, dim, dstate, groups, slots, dtype, stateDtype, deltaSoftplus]
SelectiveStateUpdateParams read_params(const Napi::Env& env, const Napi::Value& value) {
  const std::array<int64_t, 9> sizes = sizes_of<9>(value);
  SelectiveStateUpdateParams params;
  params.batch = sizes[0];
  params.tokens = sizes[1];
  params.dim = sizes[2];
  params.dstate = sizes[3];
  params.groups = sizes[4];
  params.slots = sizes[5];
  params.dtype = static_cast<DType>(sizes[6]);
  params.state_dtype = static_cast<DType>(sizes[7]);
  params.delta_softplus = sizes[8] != 0;
  if (params.tokens < 1 || params.dim < 1 || params.dstate < 1 || params.groups < 1 ||
      params.dim % params.groups != 0) {
    throw to_error(env, {Code::kShape, "Expected tokens, dim and dstate of at least 1 and groups that divide dim."});
  }
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const SelectiveStateUpdateParams& p) {
  const int64_t element = float_size(env, p.dtype);
  const int64_t state_element = float_size(env, p.state_dtype);
  const size_t activations = product(env, {p.batch, p.tokens, p.dim, element});
  const size_t matrices = product(env, {p.batch, p.tokens, p.groups, p.dstate, element});
  const size_t channels = product(env, {p.dim, 4});
  return {
      {"state", product(env, {p.slots, p.dim, p.dstate, state_element}), true, true},
      {"u", activations, true, false},
      {"delta", activations, true, false},
      {"A", product(env, {p.dim, p.dstate, 4}), true, false},
      {"B", matrices, true, false},
      {"C", matrices, true, false},
      {"D", channels, false, false},
      {"z", activations, false, false},
      {"deltaBias", channels, false, false},
      {"slots", product(env, {p.batch, 4}), false, false},
      {"out", activations, true, true},
      {"states", product(env, {p.batch, p.tokens, p.dim, p.dstate, state_element}), false, true},
  };
}

SelectiveStateUpdateParams with_addresses(SelectiveStateUpdateParams params, const std::vector<void*>& at,
                                          const std::vector<int32_t>& host_slots) {
  params.state = at[kState];
  params.u = at[kU];
  params.delta = at[kDelta];
  params.A = static_cast<const float*>(at[kA]);
  params.B = at[kB];
  params.C = at[kC];
  params.D = static_cast<const float*>(at[kD]);
  params.z = at[kZ];
  params.delta_bias = static_cast<const float*>(at[kDeltaBias]);
  params.device_slots = static_cast<const int32_t*>(at[kDeviceSlots]);
  params.out = at[kOut];
  params.states = at[kStates];
  params.host_slots = host_slots.empty() ? nullptr : host_slots.data();
  return params;
}

}  // namespace

Napi::Value selective_state_update(const Napi::CallbackInfo& info) {
  const SelectiveStateUpdateParams params = read_params(info.Env(), info[2]);
  std::vector<int32_t> slots =
      slots_of(info[3], info[kFirstArray + kDeviceSlots], is_on_cpu(info[0]), params.batch, params.slots);
  const TensorOp<SelectiveStateUpdateParams> op = {&Backend::selective_state_update, "selectiveStateUpdate"};
  return run_on_tensors(
      info, op, params.batch > 0, array_specs(info.Env(), params), kFirstArray, info[4],
      [params, slots = std::move(slots)](const std::vector<void*>& at) { return with_addresses(params, at, slots); });
}

}  // namespace selective_scan
