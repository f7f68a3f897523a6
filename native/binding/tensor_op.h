// What the ops on tensors have in common: their calls run where all of their arrays are.
#pragma once

#include <napi.h>

#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "call_control.h"
#include "errors.h"

namespace selective_scan {

// A function of the backend's table, by the name that JavaScript has for it.
template <typename Params>
struct TensorOp {
  Status (*Backend::*function)(const Call& call, const Params& params);
  const char* name;
};

// A call with these arrays, the arguments from `first_array` on; one without work does none. `place(addresses)` gives
// the parameters with the arrays' addresses, and keeps what they point to.
template <typename Params, typename Place>
Napi::Value run_on_tensors(const Napi::CallbackInfo& info, const TensorOp<Params>& op, bool has_work,
                           const std::vector<ArraySpec>& arrays, size_t first_array, const Napi::Value& control,
                           Place place) {
  OpCall call;
  call.operands = operands_of(info, first_array, arrays);
  // A copy of what an op updates would be updated in vain.
  if (!call.is_resident(*queue_of(info[0]))) {
    throw to_error(info.Env(), {Code::kDevice, "Expected tensors of the device that the call runs on."});
  }
  call.op = [op, has_work, place = std::move(place)](const Backend& backend, const Call& context,
                                                     const std::vector<void*>& addresses) -> Status {
    if (!has_work) return {};
    const auto function = backend.*op.function;
    if (function == nullptr) return {Code::kUnsupported, "This device has no " + std::string(op.name) + "."};
    return function(context, place(addresses));
  };
  return run_or_submit(info, std::move(call), first_array, call_control_of(control));
}

}  // namespace selective_scan
