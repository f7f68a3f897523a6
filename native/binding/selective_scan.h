#pragma once

#include <napi.h>

namespace selective_scan {

// selectiveScan(queue, isPromise, sizes, cuSeqlens, control, ...arrays): void | Promise<void>
Napi::Value selective_scan(const Napi::CallbackInfo& info);

// describeScan(device, sizes, cuSeqlens, hasZ): string. Of a device that need not be there.
Napi::Value describe_scan(const Napi::CallbackInfo& info);

}  // namespace selective_scan
