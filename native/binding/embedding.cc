#include "embedding.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "call_control.h"
#include "errors.h"
#include "host_integers.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of src/ops/embedding.ts.
constexpr size_t kFirstArray = 5;
enum Array { kWeight, kDeviceIds, kOut };

// sizes: [rows, vocab, dim, weightDtype, dtype]
EmbeddingParams read_params(const Napi::Env& env, const Napi::Value& value) {
  const std::array<int64_t, 5> sizes = sizes_of<5>(value);
  EmbeddingParams params;
  params.rows = sizes[0];
  params.vocab = sizes[1];
  params.dim = sizes[2];
  params.weight_dtype = static_cast<DType>(sizes[3]);
  params.dtype = static_cast<DType>(sizes[4]);
  if (params.dim < 1) throw to_error(env, {Code::kShape, "Expected dim of at least 1."});
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const EmbeddingParams& p) {
  return {
      {"weight", product(env, {p.vocab, p.dim, float_size(env, p.weight_dtype)}), true, false},
      {"ids", product(env, {p.rows, 4}), false, false},
      {"out", product(env, {p.rows, p.dim, float_size(env, p.dtype)}), true, true},
  };
}

EmbeddingParams with_addresses(EmbeddingParams params, const std::vector<void*>& at,
                               const std::vector<int32_t>& host_ids) {
  params.weight = at[kWeight];
  params.device_ids = static_cast<const int32_t*>(at[kDeviceIds]);
  params.out = at[kOut];
  params.host_ids = host_ids.empty() ? nullptr : host_ids.data();
  return params;
}

}  // namespace

Napi::Value embedding(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const EmbeddingParams params = read_params(env, info[2]);
  std::vector<int32_t> host_ids = ids_of(info[3], info[kFirstArray + kDeviceIds], params.rows, params.vocab);
  OpCall call;
  call.operands = operands_of(info, kFirstArray, array_specs(env, params));
  if (!call.is_resident(*queue_of(info[0]))) {
    throw to_error(env, {Code::kDevice, "Expected tensors of the device that the call runs on."});
  }
  call.op = [params, host_ids = std::move(host_ids)](const Backend& backend, const Call& context,
                                                     const std::vector<void*>& addresses) -> Status {
    if (params.rows == 0) return {};
    if (backend.embedding == nullptr) return {Code::kUnsupported, "This device has no embedding."};
    return backend.embedding(context, with_addresses(params, addresses, host_ids));
  };
  return run_or_submit(info, std::move(call), kFirstArray, call_control_of(info[4]));
}

}  // namespace selective_scan
