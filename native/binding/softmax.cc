#include "softmax.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "tensor_op.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays: x, out.
constexpr size_t kFirstArray = 4;

// sizes: [rows, length, dtype, outDtype, log]
SoftmaxParams read_params(const Napi::Value& value) {
  const std::array<int64_t, 5> sizes = sizes_of<5>(value);
  SoftmaxParams params;
  params.rows = sizes[0];
  params.length = sizes[1];
  params.dtype = static_cast<DType>(sizes[2]);
  params.out_dtype = static_cast<DType>(sizes[3]);
  params.log = sizes[4] != 0;
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const SoftmaxParams& p) {
  return {
      {"x", product(env, {p.rows, p.length, float_size(env, p.dtype)}), true, false},
      {"out", product(env, {p.rows, p.length, float_size(env, p.out_dtype)}), true, true},
  };
}

}  // namespace

Napi::Value softmax(const Napi::CallbackInfo& info) {
  const SoftmaxParams params = read_params(info[2]);
  const TensorOp<SoftmaxParams> op = {&Backend::softmax, "softmax"};
  return run_on_tensors(info, op, params.rows > 0 && params.length > 0, array_specs(info.Env(), params), kFirstArray,
                        info[3], [params](const std::vector<void*>& at) {
                          SoftmaxParams placed = params;
                          placed.x = at[0];
                          placed.out = at[1];
                          return placed;
                        });
}

}  // namespace selective_scan
