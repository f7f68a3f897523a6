#include "op_call.h"

namespace selective_scan {

namespace {

int device_of(const Operand& operand) { return operand.storage ? operand.storage->queue().device() : kCpuDevice; }

bool is_here(const Operand& operand, const Queue& queue) {
  return !operand.present() || device_of(operand) == queue.device();
}

void* host_address(const Operand& operand) { return operand.storage ? operand.storage->data() : operand.host; }

// Device memory that stands in for a host array during one run.
class Staged {
 public:
  explicit Staged(Queue& queue) : queue_(queue) {}
  ~Staged() {
    for (void* memory : memory_) queue_.backend().release(queue_.handle(), memory);
  }
  Staged(const Staged&) = delete;
  Staged& operator=(const Staged&) = delete;

  Status add(const Operand& operand, void** address) {
    if (operand.bytes == 0) return {};
    // Room first: a push_back that throws would lose the allocation.
    memory_.reserve(memory_.size() + 1);
    Status status = queue_.backend().allocate(queue_.handle(), operand.bytes, address);
    if (!status.ok()) return status;
    memory_.push_back(*address);
    if (operand.is_output) return {};
    return queue_.backend().upload(queue_.handle(), *address, host_address(operand), operand.bytes);
  }

 private:
  Queue& queue_;
  std::vector<void*> memory_;
};

bool is_cancelled(const Call& call) { return call.cancelled != nullptr && call.cancelled->load(); }

}  // namespace

bool OpCall::is_resident(const Queue& queue) const {
  for (const Operand& operand : operands) {
    if (!is_here(operand, queue)) return false;
  }
  return true;
}

void OpCall::hold() {
  for (const Operand& operand : operands) {
    if (operand.storage != nullptr) held.push_back(operand.storage->shared_from_this());
  }
}

Status OpCall::run(Queue& queue, const Call& call) const {
  const Status aborted{Code::kAborted, "The operation was aborted."};
  Staged staged(queue);
  std::vector<void*> addresses(operands.size(), nullptr);
  for (size_t i = 0; i < operands.size(); ++i) {
    if (is_here(operands[i], queue)) {
      addresses[i] = host_address(operands[i]);
      continue;
    }
    if (device_of(operands[i]) != kCpuDevice) return {Code::kDevice, "Expected all arrays of a call on one device."};
    if (is_cancelled(call)) return aborted;
    Status status = staged.add(operands[i], &addresses[i]);
    if (!status.ok()) return status;
  }
  Status status = op(queue.backend(), call, addresses);
  if (!status.ok()) return status;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i].is_output || operands[i].bytes == 0 || is_here(operands[i], queue)) continue;
    if (is_cancelled(call)) return aborted;
    status = queue.backend().download(queue.handle(), host_address(operands[i]), addresses[i], operands[i].bytes);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace selective_scan
