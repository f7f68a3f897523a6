#pragma once

#include <napi.h>

namespace selective_scan {

// causalConv1dUpdate(queue, isPromise, sizes, slots, control, ...arrays): void | Promise<void>
Napi::Value causal_conv1d_update(const Napi::CallbackInfo& info);

}  // namespace selective_scan
