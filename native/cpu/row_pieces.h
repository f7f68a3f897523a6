// Shares out the rows of an op that treats each row by itself.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu_info.h"
#include "thread_pool.h"

namespace selective_scan {

// Calls body(slot, first_row, rows) for runs of adjacent rows that are all of them together. A slot, below
// row_threads(), is of one thread at a time.
template <class Body>
void for_runs_of_rows(int64_t rows, int threads, const Body& body) {
  constexpr int64_t kRunsPerThread = 4;  // so that threads that come late or are slow do not decide the time
  const int64_t runs = threads == 1 ? 1 : std::min(rows, kRunsPerThread * threads);
  ThreadPool::shared().run(runs, threads, [&](int slot, int64_t run) {
    const int64_t first = rows * run / runs;
    body(slot, first, rows * (run + 1) / runs - first);
  });
}

// The threads worth waking for rows of so many elements, each about as much work as a step of a state.
inline int row_threads(int64_t rows, int64_t length) {
  const double elements = static_cast<double>(rows) * static_cast<double>(length);
  return static_cast<int>(std::min<int64_t>(threads_worth_waking(elements, cpu_threads()), std::max<int64_t>(rows, 1)));
}

}  // namespace selective_scan
