// From a Status, or whatever C++ throws, to a JavaScript error with a code.
#pragma once

#include <napi.h>

#include <exception>
#include <new>

#include "../ops.h"

namespace selective_scan {

const char* code_name(Code code);
Napi::Error to_error(Napi::Env env, const Status& status);

// Throws unless the status is ok.
void check(Napi::Env env, const Status& status);

// An exported function that no C++ exception leaves.
template <Napi::Value (*function)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return function(info);
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw to_error(info.Env(), {Code::kOutOfMemory, "Out of host memory."});
  } catch (const std::exception& error) {
    throw to_error(info.Env(), {Code::kDevice, error.what()});
  }
}

}  // namespace selective_scan
