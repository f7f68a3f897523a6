#include "streams.h"

#include <memory>
#include <utility>

#include "../runtime/event.h"
#include "../runtime/graph.h"
#include "arguments.h"
#include "environment.h"
#include "errors.h"
#include "shared_object.h"

namespace selective_scan {

namespace {

constexpr napi_type_tag kEvent = {0x2b7c1f0a5d3e4a19, 0xb1c04d6e8f927a35};
constexpr napi_type_tag kGraph = {0x5e90d2b84c1f4e77, 0x8a36f1c07b5d2e94};

// openStream(device): number
Napi::Value open_stream(const Napi::CallbackInfo& info) {
  const int64_t number = Environment::of(info.Env()).open_stream(device_of(info[0]));
  return Napi::Number::New(info.Env(), static_cast<double>(number));
}

// closeStream(stream): void
Napi::Value close_stream(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).close_stream(size_of(info[0]));
  return info.Env().Undefined();
}

// recordEvent(queue): NativeEvent
Napi::Value record_event(const Napi::CallbackInfo& info) {
  std::shared_ptr<Event> event;
  check(info.Env(), Event::record(queue_of(info[0]), &event));
  return make_object(info.Env(), std::move(event), kEvent);
}

// waitForEvent(queue, event): void
Napi::Value wait_for_event(const Napi::CallbackInfo& info) {
  check(info.Env(), object_of<Event>(info[1], kEvent)->wait_in(*queue_of(info[0])));
  return info.Env().Undefined();
}

// beginCapture(queue): void
Napi::Value begin_capture(const Napi::CallbackInfo& info) {
  check(info.Env(), Graph::begin(queue_of(info[0]), &Environment::of(info.Env()).recording));
  return info.Env().Undefined();
}

// endCapture(): NativeGraph
Napi::Value end_capture(const Napi::CallbackInfo& info) {
  std::shared_ptr<Graph> graph = std::move(Environment::of(info.Env()).recording);
  if (!graph) throw Napi::TypeError::New(info.Env(), "Expected a capture that was begun.");
  check(info.Env(), graph->end());
  return make_object(info.Env(), std::move(graph), kGraph);
}

// dropCapture(): void
Napi::Value drop_capture(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).recording = nullptr;
  return info.Env().Undefined();
}

const std::shared_ptr<Graph>& graph_of(const Napi::Value& value) {
  const std::shared_ptr<Graph>& graph = object_of<Graph>(value, kGraph);
  if (!graph) throw Napi::TypeError::New(value.Env(), "Expected a graph that has not been released.");
  return graph;
}

// replay(graph): void
Napi::Value replay(const Napi::CallbackInfo& info) {
  check(info.Env(), graph_of(info[0])->replay());
  return info.Env().Undefined();
}

// runGraph(graph): Promise<void>, settled when the calls are done
Napi::Value run_graph(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Graph>& graph = graph_of(info[0]);
  Done settle;
  const Napi::Promise promise = Environment::of(info.Env()).promise({}, &settle);
  Graph::submit(graph, std::move(settle));
  return promise;
}

// releaseGraph(graph): void
Napi::Value release_graph(const Napi::CallbackInfo& info) {
  object_of<Graph>(info[0], kGraph) = nullptr;
  return info.Env().Undefined();
}

}  // namespace

void define_streams(Napi::Env env, Napi::Object exports) {
  exports.Set("openStream", Napi::Function::New(env, guarded<open_stream>));
  exports.Set("closeStream", Napi::Function::New(env, guarded<close_stream>));
  exports.Set("recordEvent", Napi::Function::New(env, guarded<record_event>));
  exports.Set("waitForEvent", Napi::Function::New(env, guarded<wait_for_event>));
  exports.Set("beginCapture", Napi::Function::New(env, guarded<begin_capture>));
  exports.Set("endCapture", Napi::Function::New(env, guarded<end_capture>));
  exports.Set("dropCapture", Napi::Function::New(env, guarded<drop_capture>));
  exports.Set("replay", Napi::Function::New(env, guarded<replay>));
  exports.Set("runGraph", Napi::Function::New(env, guarded<run_graph>));
  exports.Set("releaseGraph", Napi::Function::New(env, guarded<release_graph>));
}

}  // namespace selective_scan
