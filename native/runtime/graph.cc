#include "graph.h"

#include <utility>

namespace selective_scan {

Status Graph::begin(const std::shared_ptr<Queue>& queue, std::shared_ptr<Graph>* graph) {
  queue->wait_until_idle();
  std::shared_ptr<Graph> begun(new Graph(queue));
  if (begun->on_gpu()) {
    const Status status = queue->backend().begin_capture(queue->handle());
    if (!status.ok()) return status;
  }
  begun->records_ = true;
  *graph = std::move(begun);
  return {};
}

Graph::~Graph() {
  if (records_) end();
  if (recorded_ != nullptr) queue_->backend().drop_graph(queue_->handle(), recorded_);
}

// Whoever wrote what it reads or writes, and whoever read what it writes.
std::vector<size_t> Graph::needs_of(const std::vector<Use>& uses) {
  std::vector<size_t> needs;
  const auto add = [&needs](const std::vector<size_t>& calls) {
    needs.insert(needs.end(), calls.begin(), calls.end());
  };
  for (const Use& use : uses) {
    const History& history = arrays_[use.array];
    add(history.writer);
    if (use.writes) add(history.readers);
  }
  for (const Use& use : uses) {
    if (!use.writes) arrays_[use.array].readers.push_back(recorded_calls_);
  }
  for (const Use& use : uses) {
    if (use.writes) arrays_[use.array] = {{recorded_calls_}, {}};
  }
  return needs;
}

Status Graph::record(Work work, const std::vector<Use>& uses) {
  for (const Use& use : uses) use.array->note_use(queue_);  // by the replays
  const std::vector<size_t> needs = needs_of(uses);
  ++recorded_calls_;
  if (!on_gpu()) {
    calls_.push_back(std::move(work));
    return {};
  }
  return queue_->run([&](const Call& call) {
    const Backend& backend = queue_->backend();
    const Status begun = backend.begin_call(call.queue, needs.data(), needs.size());
    if (!begun.ok()) return begun;
    const Status worked = work(call);
    const Status ended = backend.end_call(call.queue);
    return worked.ok() ? ended : worked;
  });
}

Status Graph::end() {
  records_ = false;
  return on_gpu() ? queue_->backend().end_capture(queue_->handle(), &recorded_) : Status{};
}

Status Graph::replay() {
  return queue_->run([this](const Call& call) { return run_calls(call); });
}

void Graph::submit(const std::shared_ptr<Graph>& graph, Done done) {
  Queue& queue = graph->queue();
  if (!graph->on_gpu()) {
    queue.submit([graph](const Call& call) { return graph->run_calls(call); }, std::move(done));
    return;
  }
  const Status status = graph->replay();
  if (status.ok()) {
    queue.finish([graph, done = std::move(done)](Status finished) { done(std::move(finished)); });
  } else {
    queue.submit([status](const Call&) { return status; }, std::move(done));
  }
}

Status Graph::run_calls(const Call& call) const {
  if (on_gpu()) return queue_->backend().replay(call.queue, recorded_);
  for (const Work& run : calls_) {
    const Status status = run(call);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace selective_scan
