#include "memory.h"

#include <utility>

#include "../runtime/transfer.h"
#include "arguments.h"
#include "environment.h"
#include "errors.h"

namespace selective_scan {

namespace {

// Tells the collector what hangs on a small object. It collects for every 64 MB more, which suits host memory; of a
// GPU's it hears a 64th, since a collection for every result would cost more than the kernel that makes it.
// The plain call, because an environment that is going away refuses, and that is no error.
void report_memory(napi_env env, const Storage& storage, int sign) {
  const auto bytes = static_cast<int64_t>(storage.bytes());
  int64_t total = 0;
  napi_adjust_external_memory(env, sign * (storage.queue().device() == kCpuDevice ? bytes : bytes / 64), &total);
}

const std::shared_ptr<Storage>& storage_of(const Napi::Value& value) {
  return Environment::of(value.Env()).memories.at(value);
}

// The queue that a transfer names, or else its own.
const std::shared_ptr<Queue>& queue_or(const Napi::Value& named, const std::shared_ptr<Queue>& own) {
  return named.IsUndefined() ? own : queue_of(named);
}

// A GPU's memory as it is at this point of the queue: in a copy, because calls that follow may write the memory before
// the queue's thread comes to read it. Where there is no room for a copy it is the memory itself.
std::shared_ptr<Storage> as_of_now(const std::shared_ptr<Storage>& storage, const std::shared_ptr<Queue>& queue) {
  if (queue->device() == kCpuDevice || storage->bytes() == 0) return storage;
  std::shared_ptr<Storage> copy;
  Status status = Storage::allocate(queue, storage->bytes(), &copy);
  if (!status.ok()) return storage;
  storage->note_use(queue);
  status = queue->backend().copy(queue->handle(), copy->data(), storage->data(), storage->bytes());
  return status.ok() ? copy : storage;
}

// Reads a whole storage into a array of its size.
struct Reading {
  std::shared_ptr<Storage> storage;
  Bytes target;
  std::shared_ptr<Queue> queue;

  explicit Reading(const Napi::CallbackInfo& info)
      : storage(storage_of(info[0])), target(bytes_of(info[1])), queue(queue_or(info[2], storage->shared_queue())) {
    if (target.size != storage->bytes()) {
      throw to_error(info.Env(), {Code::kShape, "Expected an array of the memory's size."});
    }
  }

  Status run() const {
    if (target.size == 0) return {};
    return queue->backend().download(queue->handle(), target.data, storage->data(), target.size);
  }
};

// Makes one storage what another is, in the queue that is named; or else in the target's, or that of the GPU it leaves.
struct Copying {
  std::shared_ptr<Storage> source;
  std::shared_ptr<Storage> target;
  std::shared_ptr<Queue> queue;

  explicit Copying(const Napi::CallbackInfo& info) : source(storage_of(info[0])), target(storage_of(info[1])) {
    queue = queue_or(info[2], leaves_gpu() ? source->shared_queue() : target->shared_queue());
    if (source->bytes() != target->bytes()) {
      throw to_error(info.Env(), {Code::kShape, "Expected two memories of one size."});
    }
    for (Storage* storage : {source.get(), target.get()}) {
      if (storage->queue().device() == queue->device()) storage->note_use(queue);
    }
  }

  bool is_within_device() const { return source->queue().device() == target->queue().device(); }

  bool leaves_gpu() const { return !is_within_device() && source->queue().device() != kCpuDevice; }

  // Whether running it only enqueues.
  bool enqueues() const { return is_within_device() && queue->device() != kCpuDevice; }

  Status run() const {
    if (source->bytes() == 0) return {};
    if (is_within_device()) return copy(*source, *target);
    if (&transfer_queue(*source, *target) == queue.get()) return transfer(*source, *target);
    // The device's side is of another queue, which a transfer would run in: so it goes through memory of this one.
    std::shared_ptr<Storage> between;
    Status status = Storage::allocate(queue, source->bytes(), &between);
    if (!status.ok()) return status;
    const bool downloads = source->queue().device() == queue->device();
    status = downloads ? copy(*source, *between) : transfer(*source, *between);
    if (!status.ok()) return status;
    return downloads ? transfer(*between, *target) : copy(*between, *target);
  }

 private:
  Status copy(const Storage& from, const Storage& to) const {
    return queue->backend().copy(queue->handle(), to.data(), from.data(), from.bytes());
  }
};

// allocate(queue, bytes): NativeMemory
Napi::Value allocate(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  std::shared_ptr<Storage> storage;
  check(info.Env(), Storage::allocate(queue_of(info[0]), static_cast<size_t>(size_of(info[1])), &storage));
  return environment.memories.add(info.Env(), std::move(storage));
}

// share(memory): NativeMemory, another number for the same memory, which is freed when both have been released
Napi::Value share(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Storage> storage = storage_of(info[0]);
  return Environment::of(info.Env()).memories.add(info.Env(), storage);
}

// release(memory): void
Napi::Value release(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).memories.remove(info[0]);
  return info.Env().Undefined();
}

// write(memory, offset, bytes): void; returns when bytes may be reused
Napi::Value write(const Napi::CallbackInfo& info) {
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

// read(memory, into, queue?): Promise<void>
Napi::Value read(const Napi::CallbackInfo& info) {
  Reading reading(info);
  reading.storage = as_of_now(reading.storage, reading.queue);
  Done settle;
  const Napi::Promise promise = Environment::of(info.Env()).promise({info[1].As<Napi::Object>()}, &settle);
  reading.queue->submit([reading](const Call&) { return reading.run(); }, std::move(settle));
  return promise;
}

// readSync(memory, into, queue?): void
Napi::Value read_sync(const Napi::CallbackInfo& info) {
  const Reading reading(info);
  check(info.Env(), reading.queue->run([&](const Call&) { return reading.run(); }));
  return info.Env().Undefined();
}

// copy(source, target, queue?): Promise<void>
Napi::Value copy(const Napi::CallbackInfo& info) {
  Copying copying(info);
  if (copying.leaves_gpu()) copying.source = as_of_now(copying.source, copying.queue);
  const auto run = [copying](const Call&) { return copying.run(); };
  if (copying.enqueues()) check(info.Env(), copying.queue->run(run));
  Done settle;
  const Napi::Promise promise = Environment::of(info.Env()).promise({}, &settle);
  if (copying.enqueues()) {
    copying.queue->finish(std::move(settle));
  } else {
    copying.queue->submit(run, std::move(settle));
  }
  return promise;
}

// copySync(source, target, queue?): void
Napi::Value copy_sync(const Napi::CallbackInfo& info) {
  const Copying copying(info);
  const auto run = [copying](const Call&) { return copying.run(); };
  const std::shared_ptr<Graph>& recording = Environment::of(info.Env()).recording;
  const bool records = recording && &recording->queue() == copying.queue.get();
  check(info.Env(),
        records ? recording->record(run, {{copying.source, false}, {copying.target, true}}) : copying.queue->run(run));
  return info.Env().Undefined();
}

// view(memory): ArrayBuffer over the memory of a CPU, which it keeps alive
Napi::Value view(const Napi::CallbackInfo& info) {
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

}  // namespace

Napi::Value Memories::add(Napi::Env env, std::shared_ptr<Storage> storage) {
  const auto added = storages_.emplace(++last_, std::move(storage)).first;
  report_memory(env, *added->second, 1);
  return Napi::Number::New(env, static_cast<double>(last_));
}

const std::shared_ptr<Storage>& Memories::at(const Napi::Value& value) const {
  const auto found = storages_.find(size_of(value));
  if (found == storages_.end()) throw Napi::TypeError::New(value.Env(), "Expected memory that has not been released.");
  return found->second;
}

void Memories::remove(const Napi::Value& value) {
  report_memory(value.Env(), *at(value), -1);
  storages_.erase(size_of(value));
}

void define_memory(Napi::Env env, Napi::Object exports) {
  exports.Set("allocate", Napi::Function::New(env, guarded<allocate>));
  exports.Set("share", Napi::Function::New(env, guarded<share>));
  exports.Set("release", Napi::Function::New(env, guarded<release>));
  exports.Set("write", Napi::Function::New(env, guarded<write>));
  exports.Set("read", Napi::Function::New(env, guarded<read>));
  exports.Set("readSync", Napi::Function::New(env, guarded<read_sync>));
  exports.Set("copy", Napi::Function::New(env, guarded<copy>));
  exports.Set("copySync", Napi::Function::New(env, guarded<copy_sync>));
  exports.Set("view", Napi::Function::New(env, guarded<view>));
}

}  // namespace selective_scan
