#pragma once

#include <napi.h>

namespace selective_scan {

// mambaLayerStep(queue, isPromise, sizes, eps, mixerNormEps, slots, control, ...arrays): void | Promise<void>
Napi::Value mamba_layer_step(const Napi::CallbackInfo& info);

}  // namespace selective_scan
