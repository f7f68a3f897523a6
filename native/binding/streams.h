// Streams, their events, and graphs of the calls in them.
#pragma once

#include <napi.h>

namespace selective_scan {

void define_streams(Napi::Env env, Napi::Object exports);

}  // namespace selective_scan
