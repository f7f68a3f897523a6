// The JavaScript handle of a Storage. It may be released at any time; work in flight holds the storage itself.
#pragma once

#include <napi.h>

#include <memory>

#include "../runtime/storage.h"

namespace selective_scan {

class Memory : public Napi::ObjectWrap<Memory> {
 public:
  static void define(Napi::Env env, Napi::Object exports);

  explicit Memory(const Napi::CallbackInfo& info);
  ~Memory() override;

  // The storage behind a handle; throws if the value is not one or has been released.
  static const std::shared_ptr<Storage>& storage_of(const Napi::Value& value);

 private:
  static Memory* unwrap(const Napi::Value& value);
  static Napi::Value allocate(const Napi::CallbackInfo& info);
  static Napi::Value release(const Napi::CallbackInfo& info);
  static Napi::Value write(const Napi::CallbackInfo& info);
  static Napi::Value read(const Napi::CallbackInfo& info);
  static Napi::Value read_sync(const Napi::CallbackInfo& info);
  static Napi::Value copy(const Napi::CallbackInfo& info);
  static Napi::Value copy_sync(const Napi::CallbackInfo& info);
  static Napi::Value view(const Napi::CallbackInfo& info);

  void let_go(Napi::Env env);

  std::shared_ptr<Storage> storage_;
};

}  // namespace selective_scan
