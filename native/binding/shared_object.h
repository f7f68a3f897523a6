// A JavaScript object that holds a shared native one, and lets go of it when it is collected.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

namespace selective_scan {

template <typename T>
Napi::Object make_object(Napi::Env env, std::shared_ptr<T> shared, const napi_type_tag& tag) {
  auto* held = new std::shared_ptr<T>(std::move(shared));
  Napi::Object object = Napi::Object::New(env);
  object.TypeTag(&tag);
  napi_wrap(
      env, object, held, [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); }, nullptr,
      nullptr);
  return object;
}

// What an object of that tag holds; throws for anything else.
template <typename T>
std::shared_ptr<T>& object_of(const Napi::Value& value, const napi_type_tag& tag) {
  void* held = nullptr;
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag) ||
      napi_unwrap(value.Env(), value, &held) != napi_ok) {
    throw Napi::TypeError::New(value.Env(), "Expected a native object of another kind.");
  }
  return *static_cast<std::shared_ptr<T>*>(held);
}

}  // namespace selective_scan
