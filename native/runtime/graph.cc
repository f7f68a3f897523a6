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

Status Graph::record(Work work, std::vector<std::shared_ptr<Storage>> arrays) {
  for (std::shared_ptr<Storage>& array : arrays) {
    array->note_use(queue_);  // by the replays
    arrays_.push_back(std::move(array));
  }
  if (on_gpu()) return queue_->run(work);
  calls_.push_back(std::move(work));
  return {};
}

Status Graph::end() {
  records_ = false;
  return on_gpu() ? queue_->backend().end_capture(queue_->handle(), &recorded_) : Status{};
}

Status Graph::replay() {
  return queue_->run([this](const Call& call) {
    if (on_gpu()) return queue_->backend().replay(call.queue, recorded_);
    for (const Work& run : calls_) {
      const Status status = run(call);
      if (!status.ok()) return status;
    }
    return Status{};
  });
}

}  // namespace selective_scan
