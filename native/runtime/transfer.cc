#include "transfer.h"

namespace selective_scan {

Queue& transfer_queue(const Storage& source, const Storage& target) {
  return source.queue().device() == kCpuDevice ? target.queue() : source.queue();
}

Status transfer(const Storage& source, const Storage& target) {
  const Queue& from = source.queue();
  const Queue& to = target.queue();
  const size_t bytes = source.bytes();
  if (bytes != target.bytes()) return {Code::kShape, "Expected two memories of one size."};
  if (bytes == 0) return {};
  if (from.device() == to.device()) return from.backend().copy(from.handle(), target.data(), source.data(), bytes);
  if (from.device() == kCpuDevice) return to.backend().upload(to.handle(), target.data(), source.data(), bytes);
  if (to.device() == kCpuDevice) return from.backend().download(from.handle(), target.data(), source.data(), bytes);

  // Between two GPUs the bytes go through the host: it needs no peer access and is right on every machine.
  const std::unique_ptr<char[]> host(new char[bytes]);
  Status status = from.backend().download(from.handle(), host.get(), source.data(), bytes);
  if (!status.ok()) return status;
  return to.backend().upload(to.handle(), target.data(), host.get(), bytes);
}

}  // namespace selective_scan
