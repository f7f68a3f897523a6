// Arrays in page-locked memory.
#pragma once

#include <napi.h>

namespace selective_scan {

void define_pinned(Napi::Env env, Napi::Object exports);

}  // namespace selective_scan
