// The op: looks at all ids before it writes, and shares out runs of rows among threads.
#include "embedding.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "cpu_info.h"
#include "embedding_row.h"
#include "thread_pool.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

constexpr int64_t kElementsPerPiece = 64 * 1024;

size_t bytes_of(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

Status check_ids(const int32_t* ids, const EmbeddingParams& params) {
  for (int64_t i = 0; i < params.rows; ++i) {
    if (ids[i] >= 0 && ids[i] < params.vocab) continue;
    return {Code::kShape, "Expected ids from 0 to " + std::to_string(params.vocab - 1) + " but received " +
                              std::to_string(ids[i]) + " at " + std::to_string(i) + "."};
  }
  return {};
}

}  // namespace

Status cpu_embedding(const Call&, const EmbeddingParams& params) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  const EmbeddingKernel& kernel = SELECTIVE_SCAN_KERNEL(embedding, set);
  const int32_t* const ids = params.host_ids ? params.host_ids : params.device_ids;
  const Status checked = check_ids(ids, params);
  if (!checked.ok()) return checked;

  const size_t from_bytes = static_cast<size_t>(params.dim) * bytes_of(params.weight_dtype);
  const size_t to_bytes = static_cast<size_t>(params.dim) * bytes_of(params.dtype);
  const auto look_up = [&](int64_t row) {
    const char* from = static_cast<const char*>(params.weight) + static_cast<size_t>(ids[row]) * from_bytes;
    char* to = static_cast<char*>(params.out) + static_cast<size_t>(row) * to_bytes;
    if (params.weight_dtype == params.dtype) {
      std::memcpy(to, from, to_bytes);
    } else {
      kernel.convert(params.weight_dtype, from, params.dtype, to, params.dim);
    }
  };
  const int64_t rows_per_piece = std::max<int64_t>(1, kElementsPerPiece / params.dim);
  const int64_t pieces = (params.rows + rows_per_piece - 1) / rows_per_piece;
  const double elements = static_cast<double>(params.rows) * static_cast<double>(params.dim);
  ThreadPool::shared().run(pieces, threads_worth_waking(elements, cpu_threads()), [&](int, int64_t piece) {
    const int64_t end = std::min(params.rows, (piece + 1) * rows_per_piece);
    for (int64_t row = piece * rows_per_piece; row < end; ++row) look_up(row);
  });
  return {};
}

}  // namespace selective_scan
