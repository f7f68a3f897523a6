// What the machine has: devices, their ceilings, and waiting for them.
#pragma once

#include <napi.h>

namespace selective_scan {

void define_devices(Napi::Env env, Napi::Object exports);

}  // namespace selective_scan
