#include "rms_norm.h"

#include "rms_norm_rows.h"
#include "row_pieces.h"
#include "vector_set.h"

namespace selective_scan {

Status cpu_rms_norm(const Call&, const RmsNormParams& params) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  const RmsNormKernel kernel = SELECTIVE_SCAN_KERNEL(rms_norm, set);
  for_runs_of_rows(params.rows, row_threads(params.rows, params.dim),
                   [&](int, int64_t first_row, int64_t rows) { kernel(params, first_row, rows); });
  return {};
}

}  // namespace selective_scan
