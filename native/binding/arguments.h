// Reads arguments that TypeScript has made and checked. What is checked again here is what memory safety rests on.
#pragma once

#include <napi.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
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
int64_t to_size(Napi::Env env, double number);
int device_of(const Napi::Value& value);

// The queue of a device, or the stream, that a call names by its number.
const std::shared_ptr<Queue>& queue_of(const Napi::Value& value);

bool is_on_cpu(const Napi::Value& queue);

// a * b * ... ; throws ERR_SHAPE where that overflows what memory can hold.
size_t product(Napi::Env env, std::initializer_list<int64_t> factors);

// Bytes of one element; throws unless the dtype is a real floating point one.
int64_t float_size(Napi::Env env, DType dtype);

// A copy of a typed array of int32; none of undefined.
std::vector<int32_t> int32s_of(const Napi::Value& value);

// What an op will read or write of one of its arrays: exactly `bytes`.
struct ArraySpec {
  const char* name;
  size_t bytes;
  bool is_required;
  bool is_output;
};

// An op's arrays, the arguments from `first_array` on, in the order of the specs: each the number of a memory, a typed
// array or undefined. Throws unless each has exactly its bytes.
std::vector<Operand> operands_of(const Napi::CallbackInfo& info, size_t first_array,
                                 const std::vector<ArraySpec>& specs);

// The numbers of a Float64Array of that length.
template <size_t kCount>
std::array<double, kCount> numbers_of(const Napi::Value& value) {
  void* memory = nullptr;
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  const napi_status status = napi_get_typedarray_info(value.Env(), value, &type, &length, &memory, nullptr, nullptr);
  if (status != napi_ok || type != napi_float64_array || length != kCount) {
    throw Napi::TypeError::New(value.Env(), "Expected a Float64Array of " + std::to_string(kCount) + " numbers.");
  }
  std::array<double, kCount> numbers;
  std::memcpy(numbers.data(), memory, sizeof(numbers));
  return numbers;
}

// The integers of a Float64Array of that length.
template <size_t kCount>
std::array<int64_t, kCount> sizes_of(const Napi::Value& value) {
  const std::array<double, kCount> numbers = numbers_of<kCount>(value);
  std::array<int64_t, kCount> sizes;
  for (size_t i = 0; i < kCount; ++i) sizes[i] = to_size(value.Env(), numbers[i]);
  return sizes;
}

}  // namespace selective_scan
