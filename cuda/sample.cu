// The op: the launch of its kernel.
#include "sample.cuh"

#include "queue.cuh"
#include "sample_kernel.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

// The blocks that share a row: several where rows are too few to keep the device busy, as far as each thread gets a
// vector. A draw, which is one block's, is faster where that block has had the whole row in its cache before; the
// logarithm of the sum is so much work that sharing it gains more.
unsigned team_blocks(const SampleParams& params, const DeviceShape& shape) {
  if (shape.capability < 90 || (params.temperature > 0 && params.logprobs == nullptr)) return 1;
  unsigned blocks = kMostTeamBlocks;
  while (blocks > 1 && (params.batch * blocks > shape.multiprocessors ||
                        params.vocab < int64_t{blocks} * kRowVector * kSampleThreads)) {
    blocks /= 2;
  }
  return blocks;
}

}  // namespace

Status sample(const Call& call, const SampleParams& params) {
  const auto& queue = *static_cast<CudaQueue*>(call.queue);
  const Status status = enter_device(queue.device);
  if (!status.ok()) return status;
  const unsigned rows = blocks_of_rows(params.batch);
  const unsigned team = team_blocks(params, queue.shape);
  return check(queue.device, launch_teams(sample_rows, rows, team, kSampleThreads, queue, params), "launching sample");
}

}  // namespace selective_scan
