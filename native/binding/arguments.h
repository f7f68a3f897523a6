// Reads arguments that TypeScript has made and checked. What is checked again here is what memory safety rests on.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "../runtime/op_call.h"

namespace selective_scan {

struct Bytes {
  void* data = nullptr;
  size_t size = 0;
};

// The memory of a typed array, valid until JavaScript runs again.
Bytes bytes_of(const Napi::Value& value);

// An integer from 0 to 2^53 - 1, or from -1 for a device.
int64_t size_of(const Napi::Value& value);
int device_of(const Napi::Value& value);

// a * b * ... ; throws ERR_SHAPE where that overflows what memory can hold.
size_t product(Napi::Env env, std::initializer_list<int64_t> factors);

// One array of an op: a memory handle, a typed array or undefined. Throws unless it has exactly the bytes that the op
// will read or write.
Operand operand_of(const Napi::Value& value, const char* name, size_t bytes, bool is_output);

// Runs a call now, or in the device's queue behind a promise. `values` are the JavaScript arrays that it reads and
// writes, kept alive with it.
Napi::Value run_or_submit(Napi::Env env, int device, bool is_promise, OpCall call,
                          const std::vector<Napi::Object>& values, Cancelled cancelled);

// A flag that JavaScript raises to abort a call.
Napi::Value make_cancel_flag(const Napi::CallbackInfo& info);
Napi::Value raise_cancel_flag(const Napi::CallbackInfo& info);
Cancelled cancel_flag_of(const Napi::Value& value);

}  // namespace selective_scan
