#include "softmax.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "call_control.h"
#include "errors.h"

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
  const Napi::Env env = info.Env();
  const SoftmaxParams params = read_params(info[2]);
  OpCall call;
  call.operands = operands_of(info, kFirstArray, array_specs(env, params));
  call.op = [params](const Backend& backend, const Call& context, const std::vector<void*>& addresses) -> Status {
    if (params.rows == 0 || params.length == 0) return {};
    if (backend.softmax == nullptr) return {Code::kUnsupported, "This device has no softmax."};
    SoftmaxParams placed = params;
    placed.x = addresses[0];
    placed.out = addresses[1];
    return backend.softmax(context, placed);
  };
  return run_or_submit(info, std::move(call), kFirstArray, call_control_of(info[3]));
}

}  // namespace selective_scan
