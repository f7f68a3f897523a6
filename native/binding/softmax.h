#pragma once

#include <napi.h>

namespace selective_scan {

// softmax(queue, isPromise, sizes, control, ...arrays): void | Promise<void>
Napi::Value softmax(const Napi::CallbackInfo& info);

}  // namespace selective_scan
