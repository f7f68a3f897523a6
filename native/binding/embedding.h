#pragma once

#include <napi.h>

namespace selective_scan {

// embedding(queue, isPromise, sizes, ids, control, ...arrays): void | Promise<void>
Napi::Value embedding(const Napi::CallbackInfo& info);

}  // namespace selective_scan
