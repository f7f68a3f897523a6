#include "arguments.h"

#include <cstring>
#include <limits>
#include <string>

#include "environment.h"
#include "errors.h"

namespace selective_scan {

Bytes bytes_of(const Napi::Value& value) {
  if (!value.IsTypedArray()) throw Napi::TypeError::New(value.Env(), "Expected a typed array.");
  void* data = nullptr;
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  const napi_status status = napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok) throw Napi::TypeError::New(value.Env(), "Expected a typed array that has its memory.");
  switch (type) {
    case napi_uint8_array:
      return {data, length};
    case napi_uint16_array:
      return {data, 2 * length};
    case napi_uint32_array:
      return {data, 4 * length};
    default:
      throw Napi::TypeError::New(value.Env(), "Expected unsigned integers of 8, 16 or 32 bits.");
  }
}

int64_t to_size(Napi::Env env, double number) {
  if (!(number >= 0 && number <= 9007199254740991.0) || number != static_cast<double>(static_cast<int64_t>(number))) {
    throw to_error(env, {Code::kShape, "Expected a size from 0 to 2^53 - 1."});
  }
  return static_cast<int64_t>(number);
}

int64_t size_of(const Napi::Value& value) {
  double number = -1;
  napi_get_value_double(value.Env(), value, &number);  // leaves it as it is where the value is no number
  return to_size(value.Env(), number);
}

int device_of(const Napi::Value& value) {
  double number = kCpuDevice - 1;
  napi_get_value_double(value.Env(), value, &number);  // leaves it as it is where the value is no number
  const int device = number >= kCpuDevice && number <= 65535 ? static_cast<int>(number) : kCpuDevice - 1;
  if (device < kCpuDevice || device != number) {
    throw to_error(value.Env(), {Code::kDevice, "Expected a device number."});
  }
  return device;
}

const std::shared_ptr<Queue>& queue_of(const Napi::Value& value) {
  double number = kCpuDevice - 1;
  napi_get_value_double(value.Env(), value, &number);  // leaves it as it is where the value is no number
  Environment& environment = Environment::of(value.Env());
  return environment.queue(number == kCpuDevice ? kCpuDevice : to_size(value.Env(), number));
}

bool is_on_cpu(const Napi::Value& queue) { return queue_of(queue)->device() == kCpuDevice; }

size_t product(Napi::Env env, std::initializer_list<int64_t> factors) {
  // Half of the address space, so that callers may still add. In doubles, since a division for each factor would take
  // longer; their rounding cannot hide an overflow by half.
  constexpr double kMost = static_cast<double>(std::numeric_limits<int64_t>::max() / 2);
  double magnitude = 1;
  uint64_t result = 1;
  for (const int64_t factor : factors) {
    magnitude *= static_cast<double>(factor);
    result *= static_cast<uint64_t>(factor);
  }
  if (!(magnitude >= 0 && magnitude <= kMost)) {
    throw to_error(env, {Code::kShape, "Expected sizes whose product fits in memory."});
  }
  return static_cast<size_t>(result);
}

int64_t float_size(Napi::Env env, DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return 4;
    case DType::kFloat16:
    case DType::kBFloat16:
      return 2;
    default:
      throw to_error(env, {Code::kShape, "Expected an array of a real floating point dtype."});
  }
}

std::vector<int32_t> int32s_of(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  const Bytes bytes = bytes_of(value);
  std::vector<int32_t> values(bytes.size / sizeof(int32_t));
  if (!values.empty()) std::memcpy(values.data(), bytes.data, values.size() * sizeof(int32_t));
  return values;
}

namespace {

Operand operand_of(const Memories& memories, const Napi::Value& value, const ArraySpec& spec) {
  Operand operand;
  operand.name = spec.name;
  operand.is_output = spec.is_output;
  operand.bytes = spec.bytes;
  size_t found = 0;
  switch (value.Type()) {
    case napi_undefined:
      if (!spec.is_required) return operand;
      throw to_error(value.Env(), {Code::kShape, "Expected an array for " + std::string(spec.name) + "."});
    case napi_number:
      operand.storage = memories.at(value).get();
      found = operand.storage->bytes();
      break;
    default:
      const Bytes view = bytes_of(value);
      // Of an empty array no address is ever read, but a null one would say that it is absent.
      static char empty;
      operand.host = view.data != nullptr ? view.data : &empty;
      found = view.size;
  }
  if (found != spec.bytes) {
    throw to_error(value.Env(),
                   {Code::kShape, "Expected " + std::string(spec.name) + " to have " + std::to_string(spec.bytes) +
                                      " bytes but received " + std::to_string(found) + "."});
  }
  return operand;
}

}  // namespace

std::vector<Operand> operands_of(const Napi::CallbackInfo& info, size_t first_array,
                                 const std::vector<ArraySpec>& specs) {
  const Memories& memories = Environment::of(info.Env()).memories;
  std::vector<Operand> operands;
  operands.reserve(specs.size());
  for (const ArraySpec& spec : specs) {
    operands.push_back(operand_of(memories, info[first_array + operands.size()], spec));
  }
  return operands;
}

}  // namespace selective_scan
