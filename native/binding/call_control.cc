#include "call_control.h"

#include <string>
#include <utility>

#include "arguments.h"
#include "environment.h"
#include "errors.h"

namespace selective_scan {

namespace {

constexpr napi_type_tag kCallControl = {0x6f1b0c6f0d2a4f63, 0x9a5e3c1d7b8e2f40};

Work with_progress(Work work, const CallControl* control) {
  if (control == nullptr) return work;
  return [work = std::move(work), done = control->done](Call call) {
    call.done = done.get();
    return work(call);
  };
}

std::vector<Napi::Object> typed_arrays(const Napi::CallbackInfo& info, size_t first_array) {
  std::vector<Napi::Object> views;
  for (size_t i = first_array; i < info.Length(); ++i) {
    if (info[i].IsTypedArray()) views.push_back(info[i].As<Napi::Object>());
  }
  return views;
}

Napi::Value run_on_host_arrays(const Napi::CallbackInfo& info, const std::shared_ptr<Queue>& queue, OpCall call,
                               size_t first_array, CallControl* control) {
  const Napi::Env env = info.Env();
  const bool is_promise = info[1].As<Napi::Boolean>().Value();
  if (!call.slices || !call.is_on_host()) {
    throw to_error(env, {Code::kDevice, "Expected all arrays of a call on the device that it runs on."});
  }
  const size_t slice_bytes = control != nullptr ? control->slice_bytes : 0;
  const auto host = std::make_shared<HostCall>(queue, call, is_promise, slice_bytes);
  if (is_promise && host->reading() == HostCall::Reading::kInTurns && control == nullptr) {
    throw Napi::TypeError::New(env, "Expected a control, by which large arrays are read.");
  }
  if (control != nullptr) {
    control->host = host;
    control->operands = call.operands;
  }
  if (host->is_small()) check(env, queue->run([&](const Call&) { return host->begin(); }));
  Work work = with_progress([host](const Call& context) { return host->finish(context); }, control);
  if (!is_promise) {
    check(env, queue->run(work));
    return env.Undefined();
  }
  call.hold();
  Done settle;
  const Napi::Promise promise = Environment::of(env).promise(typed_arrays(info, first_array), &settle);
  queue->submit([work = std::move(work), held = std::move(call.held)](const Call& context) { return work(context); },
                std::move(settle), control != nullptr ? control->cancelled : nullptr);
  return promise;
}

Napi::Value record_call(Napi::Env env, const std::shared_ptr<Graph>& recording, OpCall call) {
  call.hold();
  std::vector<Graph::Use> uses;
  for (const Operand& operand : call.operands) {
    if (operand.storage != nullptr) uses.push_back({operand.storage->shared_from_this(), operand.is_output});
  }
  Queue* const queue = &recording->queue();
  check(env, recording->record(
                 [queue, call = std::move(call)](const Call& context) { return call.run(*queue, context); }, uses));
  return env.Undefined();
}

// makeCallControl(sliceBytes?): CallControl. Tests give sliceBytes, to have small calls cut, on a CPU too.
Napi::Value make_call_control(const Napi::CallbackInfo& info) {
  auto control = std::make_unique<CallControl>();
  if (!info[0].IsUndefined()) control->slice_bytes = static_cast<size_t>(size_of(info[0]));
  Napi::Object holder = Napi::Object::New(info.Env());
  holder.TypeTag(&kCallControl);
  const auto destroy = [](napi_env, void* data, void*) { delete static_cast<CallControl*>(data); };
  if (napi_wrap(info.Env(), holder, control.get(), destroy, nullptr, nullptr) == napi_ok) control.release();
  return holder;
}

// abortCall(control): void
Napi::Value abort_call(const Napi::CallbackInfo& info) {
  CallControl* const control = call_control_of(info[0]);
  if (control != nullptr) control->cancelled->store(true);
  return info.Env().Undefined();
}

// progressOf(control): { done, slices }: elements of the op's main output that are done, and in how many slices host
// arrays are moved
Napi::Value progress_of(const Napi::CallbackInfo& info) {
  const CallControl* const control = call_control_of(info[0]);
  if (control == nullptr) throw Napi::TypeError::New(info.Env(), "Expected a control.");
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("done", static_cast<double>(control->done->load()));
  result.Set("slices", static_cast<double>(control->host ? control->host->slices() : 0));
  return result;
}

// feedCall(control, ...arrays): 0 when a submitted call need not read its arrays any more, 1 when it has to go on, and
// 2 when it has not begun. The arrays are those that the call was made with.
Napi::Value feed_call(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  CallControl* const control = call_control_of(info[0]);
  if (control == nullptr || !control->host) throw Napi::TypeError::New(env, "Expected a control of a call.");
  if (control->host->reading() != HostCall::Reading::kInTurns) return Napi::Number::New(env, 0);
  for (size_t i = 0; i < control->operands.size(); ++i) {
    const Operand& operand = control->operands[i];
    if (operand.host == nullptr || operand.is_output || operand.bytes == 0) continue;
    const Bytes now = bytes_of(info[i + 1]);
    if (now.data == operand.host && now.size == operand.bytes) continue;
    control->host->fail({Code::kShape, "Expected " + std::string(operand.name) +
                                           " to keep its memory until the call settles, but it was detached or "
                                           "resized."});
    return Napi::Number::New(env, 0);
  }
  switch (control->host->feed()) {
    case HostFeed::Turn::kMore:
      return Napi::Number::New(env, 1);
    case HostFeed::Turn::kNotBegun:
      return Napi::Number::New(env, 2);
    default:
      return Napi::Number::New(env, 0);
  }
}

}  // namespace

Napi::Value run_or_submit(const Napi::CallbackInfo& info, OpCall call, size_t first_array, CallControl* control) {
  const Napi::Env env = info.Env();
  const bool is_promise = info[1].As<Napi::Boolean>().Value();
  Environment& environment = Environment::of(env);
  const std::shared_ptr<Queue>& queue = queue_of(info[0]);
  for (const Operand& operand : call.operands) {
    if (operand.storage != nullptr) operand.storage->note_use(queue);
  }
  const std::shared_ptr<Graph>& recording = environment.recording;
  if (recording && &recording->queue() == queue.get() && !is_promise) {
    return record_call(env, recording, std::move(call));
  }
  if (!call.is_resident(*queue) || (control != nullptr && control->slice_bytes > 0)) {
    return run_on_host_arrays(info, queue, std::move(call), first_array, control);
  }
  const bool enqueue_now = queue->device() != kCpuDevice;
  if (!is_promise || enqueue_now) {
    check(env, queue->run([&](const Call& context) { return call.run(*queue, context); }));
    if (!is_promise) return env.Undefined();
  }
  Done settle;
  const Napi::Promise promise = environment.promise(typed_arrays(info, first_array), &settle);
  if (enqueue_now) {
    queue->finish(std::move(settle));
    return promise;
  }
  call.hold();
  Work work = [queue = queue.get(), call = std::move(call)](const Call& context) { return call.run(*queue, context); };
  queue->submit(with_progress(std::move(work), control), std::move(settle),
                control != nullptr ? control->cancelled : nullptr);
  return promise;
}

CallControl* call_control_of(const Napi::Value& value) {
  if (value.IsUndefined()) return nullptr;
  void* control = nullptr;
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kCallControl) ||
      napi_unwrap(value.Env(), value, &control) != napi_ok) {
    throw Napi::TypeError::New(value.Env(), "Expected a control of a call.");
  }
  return static_cast<CallControl*>(control);
}

void define_call_control(Napi::Env env, Napi::Object exports) {
  exports.Set("makeCallControl", Napi::Function::New(env, guarded<make_call_control>));
  exports.Set("abortCall", Napi::Function::New(env, guarded<abort_call>));
  exports.Set("progressOf", Napi::Function::New(env, guarded<progress_of>));
  exports.Set("feedCall", Napi::Function::New(env, guarded<feed_call>));
}

}  // namespace selective_scan
