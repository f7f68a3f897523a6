#include "capture.cuh"

#include <algorithm>

#include "status.cuh"

namespace selective_scan {
namespace {

// As many small kernels as a GPU is served side by side without the graph's own bookkeeping costing more.
constexpr size_t kMostBranches = 8;

constexpr size_t kNone = static_cast<size_t>(-1);

}  // namespace

Status Capture::begin(int device, std::shared_ptr<Capture>* capture) {
  std::shared_ptr<Capture> begun(new Capture(device));
  Status status = begun->add_branch();
  if (!status.ok()) return status;
  const cudaStream_t origin = begun->branches_.front().stream;
  // Relaxed: allocations go on meanwhile, in this thread and in others, and are no part of the graph.
  status = check(device, cudaStreamBeginCapture(origin, cudaStreamCaptureModeRelaxed), "beginning a capture");
  if (status.ok()) status = begun->add_event(origin, &begun->other_events_);
  if (status.ok()) *capture = std::move(begun);
  return status;
}

Capture::~Capture() {
  for (const std::vector<cudaEvent_t>* events : {&events_, &other_events_}) {
    for (const cudaEvent_t event : *events) cudaEventDestroy(event);
  }
  for (const Branch& branch : branches_) cudaStreamDestroy(branch.stream);
  cudaGetLastError();
}

Status Capture::begin_call(const size_t* needs, size_t count, int* branch, cudaStream_t* stream) {
  if (!failure_.ok()) return failure_;
  note(place_call(needs, count, branch));
  if (failure_.ok()) *stream = branches_[*branch].stream;
  return failure_;
}

Status Capture::place_call(const size_t* needs, size_t count, int* branch) {
  *branch = choose_branch(needs, count);
  if (*branch == static_cast<int>(branches_.size())) {
    const Status added = add_branch();
    if (!added.ok()) return added;
    const Status begun = check(device_, cudaStreamWaitEvent(branches_.back().stream, other_events_.front(), 0),
                               "adding a branch to a capture");
    if (!begun.ok()) return begun;
  }
  for (size_t i = 0; i < count; ++i) {
    if (branch_of_[needs[i]] == *branch) continue;
    const Status joined = check(device_, cudaStreamWaitEvent(branches_[*branch].stream, events_[needs[i]], 0),
                                "joining branches of a capture");
    if (!joined.ok()) return joined;
  }
  branch_of_.push_back(*branch);
  return {};
}

Status Capture::end_call() {
  Branch& branch = branches_[branch_of_.back()];
  branch.last_call = events_.size();
  note(add_event(branch.stream, &events_));
  return failure_;
}

// A capture that has failed has to be ended all the same.
Status Capture::end(cudaGraph_t* graph) {
  join_branches();
  note(check(device_, cudaStreamEndCapture(branches_.front().stream, graph), "ending a capture"));
  return failure_;
}

void Capture::join_branches() {
  for (size_t b = 1; b < branches_.size(); ++b) {
    note(add_event(branches_[b].stream, &other_events_));
    note(check(device_, cudaStreamWaitEvent(branches_.front().stream, other_events_.back(), 0),
               "joining the branches of a capture"));
  }
}

void Capture::note(const Status& status) {
  if (failure_.ok()) failure_ = status;
}

Status Capture::add_branch() {
  cudaStream_t stream = nullptr;
  const Status status =
      check(device_, cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream of a capture");
  if (status.ok()) branches_.push_back({stream, kNone});
  return status;
}

// That of the last call that is needed, if nothing has followed it there; else one that is new, or the one that has had
// nothing for longest.
int Capture::choose_branch(const size_t* needs, size_t count) const {
  const size_t last_need = count == 0 ? kNone : *std::max_element(needs, needs + count);
  const auto oldest = [](const Branch& a, const Branch& b) { return a.last_call + 1 < b.last_call + 1; };
  auto found = std::find_if(branches_.begin(), branches_.end(),
                            [&](const Branch& branch) { return branch.last_call == last_need; });
  if (found == branches_.end()) {
    if (branches_.size() < kMostBranches) return static_cast<int>(branches_.size());
    found = std::min_element(branches_.begin(), branches_.end(), oldest);
  }
  return static_cast<int>(found - branches_.begin());
}

Status Capture::add_event(cudaStream_t stream, std::vector<cudaEvent_t>* events) {
  cudaEvent_t event = nullptr;
  Status status = check(device_, cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "creating an event");
  if (!status.ok()) return status;
  events->push_back(event);
  return check(device_, cudaEventRecord(event, stream), "recording an event of a capture");
}

}  // namespace selective_scan
