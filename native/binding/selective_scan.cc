#include "selective_scan.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "../runtime/device.h"
#include "../runtime/scan_slices.h"
#include "arguments.h"
#include "call_control.h"
#include "errors.h"
#include "host_integers.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of runtime/scan_slices.h.
constexpr size_t kFirstArray = 5;

// sizes: [batch, dim, seqlen, dstate, groups, sequences, dtype, layout, flags]
// flags: bit 0 complex, 1 varying B, 2 varying C, 3 deltaSoftplus, 4 batchInvariant
SelectiveScanParams read_params(const Napi::Env& env, const Napi::Value& value) {
  const std::array<int64_t, 9> sizes = sizes_of<9>(value);
  const int64_t flags = sizes[8];
  SelectiveScanParams params;
  params.batch = sizes[0];
  params.dim = sizes[1];
  params.seqlen = sizes[2];
  params.dstate = sizes[3];
  params.groups = sizes[4];
  params.sequences = sizes[5];
  params.dtype = static_cast<DType>(sizes[6]);
  params.layout = sizes[7] == 0 ? Layout::kBDL : Layout::kBLD;
  params.is_complex = (flags & 1) != 0;
  params.varying_b = (flags & 2) != 0;
  params.varying_c = (flags & 4) != 0;
  params.delta_softplus = (flags & 8) != 0;
  params.batch_invariant = (flags & 16) != 0;
  if (params.dim < 1 || params.seqlen < 1 || params.dstate < 1 || params.groups < 1 ||
      params.dim % params.groups != 0) {
    throw to_error(env, {Code::kShape, "Expected dim, seqlen and dstate of at least 1 and groups that divide dim."});
  }
  return params;
}

std::vector<int32_t> read_cu_seqlens(const Napi::Value& value, const SelectiveScanParams& params) {
  return cu_seqlens_of(value, params.batch, params.seqlen, params.sequences);
}

std::vector<ArraySpec> array_specs(Napi::Env env, const SelectiveScanParams& p) {
  const int64_t element = float_size(env, p.dtype);
  const int64_t parts = p.is_complex ? 2 : 1;
  const size_t activations = product(env, {p.batch, p.dim, p.seqlen, element});
  const size_t varying = product(env, {p.batch, p.groups, p.dstate, p.seqlen, parts, element});
  const size_t constant = product(env, {p.dim, p.dstate, parts, 4});
  const size_t states = product(env, {p.sequences, p.dim, p.dstate, parts, 4});
  const size_t channels = product(env, {p.dim, 4});
  return {
      {"u", activations, true, false},
      {"delta", activations, true, false},
      {"A", constant, true, false},
      {"B", p.varying_b ? varying : constant, true, false},
      {"C", p.varying_c ? varying : constant, true, false},
      {"D", channels, false, false},
      {"z", activations, false, false},
      {"deltaBias", channels, false, false},
      {"initialState", states, false, false},
      {"out", activations, true, true},
      {"lastState", states, false, true},
  };
}

}  // namespace

Napi::Value selective_scan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const SelectiveScanParams params = read_params(env, info[2]);
  std::vector<int32_t> cu_seqlens = read_cu_seqlens(info[3], params);
  OpCall call;
  call.operands = operands_of(info, kFirstArray, array_specs(env, params));
  std::vector<void*> present;  // which arrays there are
  for (const Operand& operand : call.operands) present.push_back(operand.present() ? &call : nullptr);
  call.slices = [params = with_arrays(params, present), cu_seqlens](size_t most_bytes) mutable {
    params.cu_seqlens = cu_seqlens.empty() ? nullptr : cu_seqlens.data();
    return slice_scan(params, most_bytes);
  };
  call.op = [params, cu_seqlens = std::move(cu_seqlens)](const Backend& backend, const Call& context,
                                                         const std::vector<void*>& addresses) -> Status {
    if (params.batch == 0) return {};
    SelectiveScanParams placed = with_arrays(params, addresses);
    placed.cu_seqlens = cu_seqlens.empty() ? nullptr : cu_seqlens.data();
    return backend.selective_scan(context, placed);
  };
  return run_or_submit(info, std::move(call), kFirstArray, call_control_of(info[4]));
}

Napi::Value describe_scan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Backend* backend = backend_of(device_of(info[0]));
  if (backend == nullptr) {
    throw to_error(env, {Code::kUnsupported, "This build of selective-scan has no CUDA backend."});
  }
  SelectiveScanParams params = read_params(env, info[1]);
  float_size(env, params.dtype);
  const std::vector<int32_t> cu_seqlens = read_cu_seqlens(info[2], params);
  params.cu_seqlens = cu_seqlens.empty() ? nullptr : cu_seqlens.data();
  // Stands for an array that is there, as aligned as any; nobody reads it.
  alignas(256) static const char array = 0;
  if (info[3].ToBoolean()) params.z = &array;
  std::string words;
  check(env, backend->describe_scan(params, &words));
  return Napi::String::New(env, words);
}

}  // namespace selective_scan
