// What the op asks of a kernel: some features of some rows, in plain data, so that kernels built for different vector
// sets share nothing with each other but this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../ops.h"

namespace selective_scan {

struct LinearPiece {
  const LinearParams* params = nullptr;
  int64_t row = 0;
  int64_t rows = 0;
  int64_t feature = 0;
  int64_t features = 0;
  float* scratch = nullptr;  // 64-byte aligned
};

// Both forms give the same bits. Scratch, in floats, is that of one piece.
struct LinearKernel {
  // Reads weights where they are.
  size_t (*few_rows_floats)(const LinearParams& params, int64_t rows);
  void (*run_few_rows)(const LinearPiece& piece);
  // Brings all of a piece's weights into scratch memory first.
  size_t (*many_rows_floats)(const LinearParams& params, int64_t features);
  void (*run_many_rows)(const LinearPiece& piece);
};

// One for each vector set; those not of the target's architecture are not built.
const LinearKernel& linear_avx512();
const LinearKernel& linear_avx2();
const LinearKernel& linear_neon();
const LinearKernel& linear_portable();

}  // namespace selective_scan
