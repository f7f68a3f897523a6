// The kernel of one vector set. Included once for each, after the header that defines its Vec.
#pragma once

#include "linear_few_rows.h"
#include "linear_many_rows.h"

namespace selective_scan {
namespace {

inline size_t many_rows_floats(const LinearParams& params, int64_t features) {
  return static_cast<size_t>(ManyRowsScratch(params, features).all());
}

constexpr LinearKernel kLinearKernel = {few_rows_floats, run_few_rows, many_rows_floats, run_many_rows};

}  // namespace
}  // namespace selective_scan
