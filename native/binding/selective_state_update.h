#pragma once

#include <napi.h>

namespace selective_scan {

// selectiveStateUpdate(queue, isPromise, sizes, slots, control, ...arrays): void | Promise<void>
Napi::Value selective_state_update(const Napi::CallbackInfo& info);

}  // namespace selective_scan
