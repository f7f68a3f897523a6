#include "environment.h"

#include <utility>

#include "errors.h"

namespace selective_scan {

namespace {
constexpr int64_t kLastDevice = 1 << 16;  // above which numbers are of streams
}

struct Environment::Pending {
  Napi::Promise::Deferred deferred;
  std::vector<Napi::ObjectReference> keep;
  Status status;
};

Environment::Environment(Napi::Env env) : env_(env), last_stream_(kLastDevice) {
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "selective-scan"), 0, 1, nullptr,
                                      nullptr, this, &Environment::settle_in_javascript, &settle_);
  if (status != napi_ok) throw Napi::Error::New(env, "Expected to create a thread-safe function.");
  napi_unref_threadsafe_function(env, settle_);
  // Hooks run last in, first out: the queues' threads are joined before the function they call is torn down.
  napi_add_env_cleanup_hook(env, &Environment::shut_down, this);
}

Environment& Environment::of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

const std::shared_ptr<Queue>& Environment::queue(int64_t number) {
  const auto found = queues_.find(number);
  if (found != queues_.end()) return found->second;
  if (number > kLastDevice) throw to_error(env_, {Code::kDevice, "Expected a stream that has not been closed."});
  std::shared_ptr<Queue> queue;
  check(env_, Queue::open(static_cast<int>(number), &queue));
  return queues_[number] = std::move(queue);
}

int64_t Environment::open_stream(int device) {
  std::vector<std::shared_ptr<Queue>>& closed = closed_streams_[device];
  std::shared_ptr<Queue> stream;
  if (closed.empty()) {
    check(env_, Queue::open(device, &stream));
  } else {
    stream = std::move(closed.back());
    closed.pop_back();
  }
  queues_[++last_stream_] = std::move(stream);
  return last_stream_;
}

void Environment::close_stream(int64_t number) {
  const auto found = queues_.find(number);
  if (number <= kLastDevice || found == queues_.end()) return;
  const int device = found->second->device();
  closed_streams_[device].push_back(std::move(found->second));
  queues_.erase(found);
}

Napi::Promise Environment::run_ahead(std::function<Status()> work) {
  Done settle;
  const Napi::Promise result = promise({}, &settle);
  ahead_.emplace_back([work = std::move(work), settle = std::move(settle)] { settle(work()); });
  return result;
}

Napi::Promise Environment::promise(const std::vector<Napi::Object>& keep, Done* settle) {
  auto* pending = new Pending{Napi::Promise::Deferred::New(env_), {}, {}};
  for (const Napi::Object& value : keep) pending->keep.push_back(Napi::Persistent(value));
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, settle_);
  *settle = [function = settle_, pending](Status status) {
    pending->status = std::move(status);
    napi_call_threadsafe_function(function, pending, napi_tsfn_nonblocking);
  };
  return pending->deferred.Promise();
}

void Environment::settle_in_javascript(napi_env env, napi_value, void* context, void* data) {
  // A null env means that the environment is going away and takes the promise and the references with it.
  if (env == nullptr) return;
  auto* environment = static_cast<Environment*>(context);
  const std::unique_ptr<Pending> pending(static_cast<Pending*>(data));
  if (--environment->pending_ == 0) napi_unref_threadsafe_function(env, environment->settle_);
  try {
    const Napi::HandleScope scope(env);
    if (pending->status.ok()) {
      pending->deferred.Resolve(Napi::Env(env).Undefined());
    } else {
      pending->deferred.Reject(to_error(env, pending->status).Value());
    }
  } catch (const Napi::Error&) {
    // A worker that is being terminated runs no more JavaScript, and nobody waits for its promises.
  }
}

void Environment::shut_down(void* data) {
  auto* environment = static_cast<Environment*>(data);
  for (std::thread& thread : environment->ahead_) thread.join();
  environment->recording = nullptr;
  for (auto& [number, queue] : environment->queues_) queue->shut_down();
  for (auto& [device, streams] : environment->closed_streams_) {
    for (auto& stream : streams) stream->shut_down();
  }
}

}  // namespace selective_scan
