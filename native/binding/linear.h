#pragma once

#include <napi.h>

namespace selective_scan {

// linear(queue, isPromise, sizes, control, ...arrays): void | Promise<void>
Napi::Value linear(const Napi::CallbackInfo& info);

}  // namespace selective_scan
