#include "softmax.h"

#include "flush_denormals.h"
#include "row_pieces.h"
#include "softmax_rows.h"
#include "vector_set.h"

namespace selective_scan {

Status cpu_softmax(const Call&, const SoftmaxParams& params) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  const SoftmaxKernel kernel = SELECTIVE_SCAN_KERNEL(softmax, set);
  for_runs_of_rows(params.rows, row_threads(params.rows, params.length), [&](int, int64_t first_row, int64_t rows) {
    const FlushDenormals flush;  // exponentials far below the maximum
    kernel(params, first_row, rows);
  });
  return {};
}

}  // namespace selective_scan
