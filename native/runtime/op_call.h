// One call of an op with its arrays, which are where the queue computes; or in host memory, see host_call.h.
#pragma once

#include <memory>
#include <vector>

#include "host_plan.h"
#include "storage.h"

namespace selective_scan {

// An array of a call: memory of the queue's device or of the CPU (`storage`), or memory that JavaScript owns (`host`).
// Neither: the array is absent.
struct Operand {
  const char* name = "";
  Storage* storage = nullptr;  // which somebody else keeps alive, until hold() is called
  void* host = nullptr;
  size_t bytes = 0;
  bool is_output = false;

  bool present() const { return storage != nullptr || host != nullptr; }
};

struct OpCall {
  std::vector<Operand> operands;
  std::vector<std::shared_ptr<void>> held;
  // Runs the op, given the device addresses of the operands in their order, null where absent.
  std::function<Status(const Backend&, const Call&, const std::vector<void*>&)> op;
  // How the op is cut where its arrays are the host's and have to be brought to a device; none if it takes no such.
  std::function<HostPlan(size_t most_bytes)> slices;

  // True if every array is already where the queue computes, so that running it on a GPU only enqueues.
  bool is_resident(const Queue& queue) const;
  // True if every array is in host memory.
  bool is_on_host() const;
  // Of a resident call.
  Status run(Queue& queue, const Call& call) const;

  // Keeps the operands' storage alive as long as this call, and pinned memory that it writes, whose array JavaScript
  // may detach meanwhile: for a call that runs later than its caller sees. Sharing each would take one that runs at
  // once longer than all the rest of its bookkeeping.
  void hold();
};

}  // namespace selective_scan
