#include "memory.h"

#include <utility>

#include "../runtime/transfer.h"
#include "arguments.h"
#include "environment.h"
#include "errors.h"

namespace selective_scan {

namespace {

constexpr napi_type_tag kMemory = {0x2d9f8a7c51e04b36, 0xb1c7e6035f4a9d82};

// Tells the collector what hangs on a small handle. It collects for every 64 MB more, which suits host memory; of a
// GPU's it hears a 64th, since a collection for every result would cost more than the kernel that makes it.
// The plain call, because a finalizer must not throw and an environment that is going away refuses.
void report_memory(napi_env env, const Storage& storage, int sign) {
  const auto bytes = static_cast<int64_t>(storage.bytes());
  int64_t total = 0;
  napi_adjust_external_memory(env, sign * (storage.queue().device() == kCpuDevice ? bytes : bytes / 64), &total);
}

// Reads a whole storage into a array of its size.
struct Reading {
  std::shared_ptr<Storage> storage;
  Bytes target;

  explicit Reading(const Napi::CallbackInfo& info) : storage(Memory::storage_of(info[0])), target(bytes_of(info[1])) {
    if (target.size != storage->bytes()) {
      throw to_error(info.Env(), {Code::kShape, "Expected an array of the memory's size."});
    }
  }

  Status run() const {
    if (target.size == 0) return {};
    const Queue& queue = storage->queue();
    return queue.backend().download(queue.handle(), target.data, storage->data(), target.size);
  }
};

}  // namespace

void Memory::define(Napi::Env env, Napi::Object exports) {
  const Napi::Function constructor = DefineClass(env, "NativeMemory", {});
  Environment::of(env).memory_class = Napi::Persistent(constructor);
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("allocate", guarded<&Memory::allocate>);
  add("release", guarded<&Memory::release>);
  add("write", guarded<&Memory::write>);
  add("read", guarded<&Memory::read>);
  add("readSync", guarded<&Memory::read_sync>);
  add("copy", guarded<&Memory::copy>);
  add("copySync", guarded<&Memory::copy_sync>);
  add("view", guarded<&Memory::view>);
}

Memory::Memory(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Memory>(info) {
  if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "Memory is made by allocate.");
  storage_ = *info[0].As<Napi::External<std::shared_ptr<Storage>>>().Data();
  info.This().As<Napi::Object>().TypeTag(&kMemory);
  report_memory(info.Env(), *storage_, 1);
}

Memory::~Memory() { let_go(Env()); }

void Memory::let_go(Napi::Env env) {
  if (!storage_) return;
  report_memory(env, *storage_, -1);
  storage_ = nullptr;
}

Memory* Memory::unwrap(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kMemory)) {
    throw Napi::TypeError::New(value.Env(), "Expected a memory handle.");
  }
  return Unwrap(value.As<Napi::Object>());
}

const std::shared_ptr<Storage>& Memory::storage_of(const Napi::Value& value) {
  const Memory* memory = unwrap(value);
  if (!memory->storage_) throw Napi::TypeError::New(value.Env(), "Expected memory that has not been released.");
  return memory->storage_;
}

// allocate(device, bytes): NativeMemory
Napi::Value Memory::allocate(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  std::shared_ptr<Storage> storage;
  check(info.Env(),
        Storage::allocate(environment.queue(device_of(info[0])), static_cast<size_t>(size_of(info[1])), &storage));
  return environment.memory_class.New({Napi::External<std::shared_ptr<Storage>>::New(info.Env(), &storage)});
}

// release(memory): void
Napi::Value Memory::release(const Napi::CallbackInfo& info) {
  unwrap(info[0])->let_go(info.Env());
  return info.Env().Undefined();
}

// write(memory, offset, bytes): void; returns when bytes may be reused
Napi::Value Memory::write(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Storage>& storage = storage_of(info[0]);
  const auto offset = static_cast<size_t>(size_of(info[1]));
  const Bytes source = bytes_of(info[2]);
  if (offset > storage->bytes() || source.size > storage->bytes() - offset) {
    throw to_error(info.Env(), {Code::kShape, "Expected bytes that fit into the memory."});
  }
  if (source.size > 0) {
    const Queue& queue = storage->queue();
    check(info.Env(), queue.backend().upload(queue.handle(), static_cast<char*>(storage->data()) + offset, source.data,
                                             source.size));
  }
  return info.Env().Undefined();
}

// read(memory, into): Promise<void>
Napi::Value Memory::read(const Napi::CallbackInfo& info) {
  const Reading reading(info);
  Done settle;
  const Napi::Promise promise = Environment::of(info.Env()).promise({info[1].As<Napi::Object>()}, &settle);
  reading.storage->queue().submit([reading](const Call&) { return reading.run(); }, std::move(settle));
  return promise;
}

// readSync(memory, into): void
Napi::Value Memory::read_sync(const Napi::CallbackInfo& info) {
  const Reading reading(info);
  check(info.Env(), reading.storage->queue().run([&](const Call&) { return reading.run(); }));
  return info.Env().Undefined();
}

// copy(source, target): Promise<void>
Napi::Value Memory::copy(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Storage> source = storage_of(info[0]);
  const std::shared_ptr<Storage> target = storage_of(info[1]);
  Done settle;
  const Napi::Promise promise = Environment::of(info.Env()).promise({}, &settle);
  transfer_queue(*source, *target)
      .submit([source, target](const Call&) { return transfer(*source, *target); }, std::move(settle));
  return promise;
}

// copySync(source, target): void
Napi::Value Memory::copy_sync(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Storage>& source = storage_of(info[0]);
  const std::shared_ptr<Storage>& target = storage_of(info[1]);
  check(info.Env(), transfer_queue(*source, *target).run([&](const Call&) { return transfer(*source, *target); }));
  return info.Env().Undefined();
}

// view(memory): ArrayBuffer over the memory of a CPU, which it keeps alive
Napi::Value Memory::view(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Storage>& storage = storage_of(info[0]);
  if (storage->queue().device() != kCpuDevice) {
    throw to_error(info.Env(), {Code::kDevice, "Expected memory of the CPU."});
  }
  if (storage->bytes() == 0) return Napi::ArrayBuffer::New(info.Env(), 0);
  auto* held = new std::shared_ptr<Storage>(storage);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      info.Env(), storage->data(), storage->bytes(),
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Storage>*>(hint); }, held, &buffer);
  if (status != napi_ok) {
    delete held;
    throw to_error(info.Env(), {Code::kUnsupported, "This runtime allows no views of native memory; use toArray()."});
  }
  return {info.Env(), buffer};
}

}  // namespace selective_scan
