#include "devices.h"

#include <memory>
#include <string>
#include <utility>

#include "../runtime/host_link.h"
#include "../runtime/pinned_blocks.h"
#include "arguments.h"
#include "environment.h"
#include "errors.h"

namespace selective_scan {

namespace {

DeviceInfo describe(Napi::Env env, int device) {
  const Backend* backend = nullptr;
  int index = 0;
  check(env, find_device(device, &backend, &index));
  DeviceInfo info;
  check(env, backend->describe(index, &info));
  return info;
}

Napi::Object describe_cpu(Napi::Env env) {
  const DeviceInfo info = describe(env, kCpuDevice);
  Napi::Object result = Napi::Object::New(env);
  result.Set("device", "cpu");
  result.Set("name", info.name);
  result.Set("vectorSet", info.vector_set);
  result.Set("threads", info.threads);
  return result;
}

Napi::Object describe_gpu(Napi::Env env, int device) {
  const DeviceInfo info = describe(env, device);
  Napi::Object result = Napi::Object::New(env);
  result.Set("device", "cuda:" + std::to_string(device));
  result.Set("name", info.name);
  result.Set("memory", static_cast<double>(info.memory_bytes));
  result.Set("computeCapability", std::to_string(info.compute_major) + "." + std::to_string(info.compute_minor));
  result.Set("driver", info.driver);
  return result;
}

// devices(): { cpu, gpus: [...], noGpu: why there is none, or '' }
Napi::Value devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int count = 0;
  const Status status = count_gpus(&count);
  Napi::Array gpus = Napi::Array::New(env);
  for (int device = 0; device < count; ++device) gpus.Set(static_cast<uint32_t>(device), describe_gpu(env, device));
  Napi::Object result = Napi::Object::New(env);
  result.Set("cpu", describe_cpu(env));
  result.Set("gpus", gpus);
  result.Set("noGpu", status.message);
  return result;
}

// find(): Promise<void>, settled when devices() and open() need not wait for a driver to be initialised
Napi::Value find(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).run_ahead([]() -> Status {
    int count = 0;
    count_gpus(&count);  // why there is none, devices() says
    return {};
  });
}

// open(device): Promise<void>, settled when the device has been set up
Napi::Value open(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).run_ahead([device = device_of(info[0])] {
    std::shared_ptr<Queue> queue;
    return Queue::open(device, &queue);
  });
}

// finish(queue): Promise<void>, settled when all work given to the queue so far is done
Napi::Value finish(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  const std::shared_ptr<Queue>& queue = queue_of(info[0]);
  Done settle;
  const Napi::Promise promise = environment.promise({}, &settle);
  queue->finish(std::move(settle));
  return promise;
}

// finishSync(queue): void
Napi::Value finish_sync(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Queue>& queue = queue_of(info[0]);
  const auto wait = [&queue](const Call& call) {
    void* mark = nullptr;
    Status status = queue->backend().mark(call.queue, &mark);
    return status.ok() ? queue->backend().wait(call.queue, mark) : status;
  };
  check(info.Env(), queue->run(wait));
  return info.Env().Undefined();
}

// measureRoofs(device, into: Float64Array [bytes a second, exponentials a second]): Promise<void>
Napi::Value measure_roofs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Environment& environment = Environment::of(env);
  const std::shared_ptr<Queue>& queue = queue_of(info[0]);
  if (queue->backend().measure_roofs == nullptr) {
    throw to_error(env, {Code::kUnsupported, "Expected a GPU: this device's ceilings cannot be measured."});
  }
  Napi::Float64Array into = info[1].As<Napi::Float64Array>();
  if (into.ElementLength() != 2) throw to_error(env, {Code::kShape, "Expected room for two numbers."});
  double* const target = into.Data();
  Done settle;
  const Napi::Promise promise = environment.promise({into}, &settle);
  queue->submit(
      [queue = queue.get(), target](const Call& call) {
        Roofs roofs;
        Status status = queue->backend().measure_roofs(call.queue, &roofs);
        target[0] = roofs.bytes_per_second;
        target[1] = roofs.exponentials_per_second;
        return status;
      },
      std::move(settle));
  return promise;
}

// memoryUse(device, into: Float64Array [used, cached, peak], in bytes): void
Napi::Value memory_use(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Queue>& queue = queue_of(info[0]);
  Napi::Float64Array into = info[1].As<Napi::Float64Array>();
  if (into.ElementLength() != 3) throw to_error(info.Env(), {Code::kShape, "Expected room for three numbers."});
  if (queue->backend().memory_use == nullptr) {
    throw to_error(info.Env(), {Code::kUnsupported, "Expected a GPU: this device's memory is not kept."});
  }
  MemoryUse use;
  check(info.Env(), queue->backend().memory_use(queue->device(), &use));
  into[0] = static_cast<double>(use.used);
  into[1] = static_cast<double>(use.cached);
  into[2] = static_cast<double>(use.peak);
  return info.Env().Undefined();
}

// emptyCache(device): Promise<void>
Napi::Value empty_cache(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Queue>& queue = queue_of(info[0]);
  Done settle;
  const Napi::Promise promise = Environment::of(info.Env()).promise({}, &settle);
  queue->submit(
      [queue = queue.get()](const Call&) {
        const Backend& backend = queue->backend();
        HostLink::release_slots(queue->device());
        empty_pinned_blocks(backend);
        return backend.empty_cache == nullptr ? Status{} : backend.empty_cache(queue->device());
      },
      std::move(settle));
  return promise;
}

// hasCublasLt(device): boolean
Napi::Value has_cublas_lt(const Napi::CallbackInfo& info) {
  const Backend& backend = queue_of(info[0])->backend();
  return Napi::Boolean::New(info.Env(), backend.has_cublas_lt != nullptr && backend.has_cublas_lt());
}

}  // namespace

void define_devices(Napi::Env env, Napi::Object exports) {
  exports.Set("devices", Napi::Function::New(env, guarded<devices>));
  exports.Set("find", Napi::Function::New(env, guarded<find>));
  exports.Set("open", Napi::Function::New(env, guarded<open>));
  exports.Set("finish", Napi::Function::New(env, guarded<finish>));
  exports.Set("finishSync", Napi::Function::New(env, guarded<finish_sync>));
  exports.Set("memoryUse", Napi::Function::New(env, guarded<memory_use>));
  exports.Set("emptyCache", Napi::Function::New(env, guarded<empty_cache>));
  exports.Set("hasCublasLt", Napi::Function::New(env, guarded<has_cublas_lt>));
  exports.Set("measureRoofs", Napi::Function::New(env, guarded<measure_roofs>));
}

}  // namespace selective_scan
