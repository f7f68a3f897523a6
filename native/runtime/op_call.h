// One call of an op with its arrays, wherever they are: host arrays are brought to the device and results back.
#pragma once

#include <memory>
#include <vector>

#include "storage.h"

namespace selective_scan {

// An array of a call: memory of the queue's device or of the CPU (`storage`), or memory that JavaScript owns and keeps
// still for the length of the call (`host`). Neither: the array is absent.
struct Operand {
  Storage* storage = nullptr;  // which somebody else keeps alive, until hold() is called
  void* host = nullptr;
  size_t bytes = 0;
  bool is_output = false;

  bool present() const { return storage != nullptr || host != nullptr; }
};

struct OpCall {
  std::vector<Operand> operands;
  std::vector<std::shared_ptr<Storage>> held;
  // Runs the op, given the device addresses of the operands in their order, null where absent.
  std::function<Status(const Backend&, const Call&, const std::vector<void*>&)> op;

  // True if every array is already where the queue computes, so that running it on a GPU only enqueues.
  bool is_resident(const Queue& queue) const;
  Status run(Queue& queue, const Call& call) const;

  // Keeps the operands' storage alive as long as this call: for one that runs later than its caller sees. Sharing each
  // would take a call that runs at once longer than all the rest of its bookkeeping.
  void hold();
};

}  // namespace selective_scan
