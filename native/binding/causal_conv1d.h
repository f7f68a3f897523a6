#pragma once

#include <napi.h>

namespace selective_scan {

// causalConv1d(queue, isPromise, sizes, cuSeqlens, control, ...arrays): void | Promise<void>
Napi::Value causal_conv1d(const Napi::CallbackInfo& info);

}  // namespace selective_scan
