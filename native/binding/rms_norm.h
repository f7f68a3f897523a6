#pragma once

#include <napi.h>

namespace selective_scan {

// rmsNorm(queue, isPromise, sizes, numbers, control, ...arrays): void | Promise<void>
Napi::Value rms_norm(const Napi::CallbackInfo& info);

}  // namespace selective_scan
