#include "op_call.h"

#include <utility>

#include "pinned_memory.h"

namespace selective_scan {

namespace {

bool is_on(const Operand& operand, int device) {
  return !operand.present() || (operand.storage ? operand.storage->queue().device() : kCpuDevice) == device;
}

}  // namespace

bool OpCall::is_resident(const Queue& queue) const {
  for (const Operand& operand : operands) {
    if (!is_on(operand, queue.device())) return false;
  }
  return true;
}

bool OpCall::is_on_host() const {
  for (const Operand& operand : operands) {
    if (!is_on(operand, kCpuDevice)) return false;
  }
  return true;
}

void OpCall::hold() {
  for (const Operand& operand : operands) {
    if (operand.storage != nullptr) {
      held.push_back(operand.storage->shared_from_this());
    } else if (operand.is_output && operand.host != nullptr) {
      std::shared_ptr<PinnedMemory> pinned = PinnedMemory::find(operand.host, operand.bytes);
      if (pinned != nullptr) held.push_back(std::move(pinned));
    }
  }
}

Status OpCall::run(Queue& queue, const Call& call) const {
  std::vector<void*> addresses;
  addresses.reserve(operands.size());
  for (const Operand& operand : operands) {
    addresses.push_back(operand.storage ? operand.storage->data() : operand.host);
  }
  return op(queue.backend(), call, addresses);
}

}  // namespace selective_scan
