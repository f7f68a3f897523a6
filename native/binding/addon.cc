// The module's exports: everything that src/native.ts types.
#include <napi.h>

#include "call_control.h"
#include "causal_conv1d.h"
#include "causal_conv1d_update.h"
#include "devices.h"
#include "embedding.h"
#include "environment.h"
#include "errors.h"
#include "linear.h"
#include "mamba_layer_step.h"
#include "memory.h"
#include "pinned.h"
#include "rms_norm.h"
#include "sample.h"
#include "selective_scan.h"
#include "selective_state_update.h"
#include "softmax.h"
#include "streams.h"

namespace selective_scan {

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  define_memory(env, exports);
  define_devices(env, exports);
  define_streams(env, exports);
  define_pinned(env, exports);
  define_call_control(env, exports);

  // The ops, one line each.
  exports.Set("causalConv1d", Napi::Function::New(env, guarded<causal_conv1d>));
  exports.Set("causalConv1dUpdate", Napi::Function::New(env, guarded<causal_conv1d_update>));
  exports.Set("embedding", Napi::Function::New(env, guarded<embedding>));
  exports.Set("selectiveScan", Napi::Function::New(env, guarded<selective_scan>));
  exports.Set("selectiveStateUpdate", Napi::Function::New(env, guarded<selective_state_update>));
  exports.Set("linear", Napi::Function::New(env, guarded<linear>));
  exports.Set("mambaLayerStep", Napi::Function::New(env, guarded<mamba_layer_step>));
  exports.Set("rmsNorm", Napi::Function::New(env, guarded<rms_norm>));
  exports.Set("sample", Napi::Function::New(env, guarded<sample>));
  exports.Set("softmax", Napi::Function::New(env, guarded<softmax>));

  exports.Set("describeScan", Napi::Function::New(env, guarded<describe_scan>));
  return exports;
}

}  // namespace

NODE_API_MODULE(selective_scan, init)

}  // namespace selective_scan
