// How an op's call is run, now or behind a promise, and what JavaScript does with it while it runs: aborts it, asks how
// far it is, and lets it read JavaScript's arrays.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "../runtime/host_call.h"

namespace selective_scan {

// One call's; JavaScript holds it as an object.
struct CallControl {
  Cancelled cancelled = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<std::atomic<int64_t>> done = std::make_shared<std::atomic<int64_t>>(0);
  size_t slice_bytes = 0;  // see HostCall; on a CPU too

  std::shared_ptr<HostCall> host;  // once it has been submitted with host arrays
  std::vector<Operand> operands;   // of that call
};

// Runs an op's call now, or in the device's queue behind a promise. The arguments begin with the device and whether a
// promise is wanted; those from `first_array` on are the op's arrays, of which a promise keeps JavaScript's own alive.
// There need not be a control.
Napi::Value run_or_submit(const Napi::CallbackInfo& info, OpCall call, size_t first_array, CallControl* control);

// Null for undefined.
CallControl* call_control_of(const Napi::Value& value);

void define_call_control(Napi::Env env, Napi::Object exports);

}  // namespace selective_scan
