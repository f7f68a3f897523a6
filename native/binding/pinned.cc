#include "pinned.h"

#include <cstdint>
#include <cstring>
#include <memory>

#include "../runtime/pinned_memory.h"
#include "arguments.h"
#include "errors.h"

namespace selective_scan {

namespace {

// allocatePinned(bytes): ArrayBuffer of zeros, page-locked for the GPUs that there are; ordinary memory where there is
// none. It is given back when the buffer has been collected and no call reads it.
Napi::Value allocate_pinned(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto bytes = static_cast<size_t>(size_of(info[0]));
  if (bytes == 0) return Napi::ArrayBuffer::New(env, 0);
  int gpus = 0;
  count_gpus(&gpus);  // where there is none it does not matter why
  auto held = std::make_unique<std::shared_ptr<PinnedMemory>>();
  check(env, PinnedMemory::allocate(*backend_of(gpus > 0 ? 0 : kCpuDevice), 0, bytes, held.get()));
  std::memset((*held)->data(), 0, bytes);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, (*held)->data(), bytes,
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<PinnedMemory>*>(hint); }, held.get(),
      &buffer);
  if (status != napi_ok) {
    throw to_error(env, {Code::kUnsupported, "This runtime allows no arrays over native memory."});
  }
  held.release();
  return {env, buffer};
}

// isPinned(array): boolean, whether all its memory is of allocatePinned
Napi::Value is_pinned(const Napi::CallbackInfo& info) {
  const Bytes bytes = bytes_of(info[0]);
  return Napi::Boolean::New(info.Env(), PinnedMemory::find(bytes.data, bytes.size) != nullptr);
}

// overlap(a: typed array, b: typed array): boolean, whether they have a byte in common
Napi::Value overlap(const Napi::CallbackInfo& info) {
  const Bytes a = bytes_of(info[0]);
  const Bytes b = bytes_of(info[1]);
  const auto first = reinterpret_cast<uintptr_t>(a.data);
  const auto second = reinterpret_cast<uintptr_t>(b.data);
  const bool has_common = first < second + b.size && second < first + a.size;
  return Napi::Boolean::New(info.Env(), a.size > 0 && b.size > 0 && has_common);
}

}  // namespace

void define_pinned(Napi::Env env, Napi::Object exports) {
  exports.Set("overlap", Napi::Function::New(env, guarded<overlap>));
  exports.Set("allocatePinned", Napi::Function::New(env, guarded<allocate_pinned>));
  exports.Set("isPinned", Napi::Function::New(env, guarded<is_pinned>));
}

}  // namespace selective_scan
