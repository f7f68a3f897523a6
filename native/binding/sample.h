#pragma once

#include <napi.h>

namespace selective_scan {

// sample(queue, isPromise, sizes, numbers, control, ...arrays): void | Promise<void>
Napi::Value sample(const Napi::CallbackInfo& info);

}  // namespace selective_scan
