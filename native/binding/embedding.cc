#include "embedding.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "host_integers.h"
#include "tensor_op.h"

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
  const EmbeddingParams params = read_params(info.Env(), info[2]);
  std::vector<int32_t> host_ids = ids_of(info[3], info[kFirstArray + kDeviceIds], params.rows, params.vocab);
  const TensorOp<EmbeddingParams> op = {&Backend::embedding, "embedding"};
  return run_on_tensors(
      info, op, params.rows > 0, array_specs(info.Env(), params), kFirstArray, info[4],
      [params, ids = std::move(host_ids)](const std::vector<void*>& at) { return with_addresses(params, at, ids); });
}

}  // namespace selective_scan
