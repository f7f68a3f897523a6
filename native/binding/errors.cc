#include "errors.h"

namespace selective_scan {

const char* code_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "";
    case Code::kShape:
      return "ERR_SHAPE";
    case Code::kDevice:
      return "ERR_DEVICE";
    case Code::kUnsupported:
      return "ERR_UNSUPPORTED";
    case Code::kOutOfMemory:
      return "ERR_OUT_OF_MEMORY";
    case Code::kDeviceLost:
      return "ERR_DEVICE_LOST";
    case Code::kAborted:
      return "ERR_ABORTED";
  }
  return "ERR_DEVICE";
}

Napi::Error to_error(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.message);
  error.Value().Set("code", Napi::String::New(env, code_name(status.code)));
  return error;
}

void check(Napi::Env env, const Status& status) {
  if (!status.ok()) throw to_error(env, status);
}

}  // namespace selective_scan
