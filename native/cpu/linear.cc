// The op: chooses the kernel and its form, and shares out features and rows among threads.
#include "linear.h"

#include <algorithm>

#include "cpu_info.h"
#include "linear_piece.h"
#include "memory.h"
#include "thread_pool.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

// Up to here a panel of weights would not be used often enough to pay for itself.
constexpr int64_t kFewRows = 8;

// Pieces a thread, so that threads that come late or are slow do not decide the time.
constexpr int64_t kPiecesPerThread = 4;

// Pieces are of a multiple of these: the most that a kernel works on at a time.
constexpr int64_t kFeatureStep = 16;
constexpr int64_t kRowStep = 48;

// Floats in a piece's panel of weights, which should stay in a second-level cache; and features of a panel that make
// it worth it to bring the rows of x into order, however long these are.
constexpr int64_t kPanelFloats = 96 * 1024;
constexpr int64_t kLeastPanelFeatures = 32;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How many of `step` a part has if there are to be at least so many parts, or parts of one step.
int64_t part_of(int64_t size, int64_t step, int64_t parts) {
  const int64_t steps = std::max<int64_t>(1, divide_up(size, step));
  return divide_up(steps, std::clamp<int64_t>(parts, 1, steps)) * step;
}

struct Cut {
  Cut(const LinearParams& params, int threads) : has_few_rows(params.rows <= kFewRows), rows(params.rows) {
    const int64_t wanted = threads == 1 ? 1 : kPiecesPerThread * threads;
    if (has_few_rows) {
      features = part_of(params.out_features, kFeatureStep, wanted);
    } else {
      const int64_t most = std::max(kLeastPanelFeatures, kPanelFloats / std::max<int64_t>(1, params.in_features));
      features = part_of(params.out_features, kFeatureStep, divide_up(params.out_features, most));
      rows = part_of(params.rows, kRowStep, divide_up(wanted, divide_up(params.out_features, features)));
    }
    feature_parts = divide_up(params.out_features, features);
    row_parts = divide_up(params.rows, rows);
  }

  bool has_few_rows;
  int64_t rows;  // in a piece, at most
  int64_t features;
  int64_t row_parts;
  int64_t feature_parts;
};

LinearPiece piece_of(const LinearParams& params, const Cut& cut, int64_t index) {
  LinearPiece piece;
  piece.params = &params;
  piece.row = index / cut.feature_parts * cut.rows;
  piece.rows = std::min(cut.rows, params.rows - piece.row);
  piece.feature = index % cut.feature_parts * cut.features;
  piece.features = std::min(cut.features, params.out_features - piece.feature);
  return piece;
}

// A weight that comes from memory takes about as long as a step of a state does, and as 32 products with it.
int threads_for(const LinearParams& params) {
  const double weights = static_cast<double>(params.in_features) * static_cast<double>(params.out_features);
  return threads_worth_waking(weights * (1 + static_cast<double>(params.rows) / 32), cpu_threads());
}

bool is_cancelled(const Call& call) {
  return ThreadPool::shared().stopping() || (call.cancelled && call.cancelled->load(std::memory_order_relaxed));
}

}  // namespace

Status cpu_linear(const Call& call, const LinearParams& params) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  if (params.rows == 0 || params.out_features == 0) return {};
  const LinearKernel& kernel = SELECTIVE_SCAN_KERNEL(linear, set);

  const int threads = threads_for(params);
  const Cut cut(params, threads);
  constexpr size_t kAlignment = 64;  // floats; threads then share no cache line
  const size_t floats =
      cut.has_few_rows ? kernel.few_rows_floats(params, cut.rows) : kernel.many_rows_floats(params, cut.features);
  const size_t floats_per_thread = (floats + kAlignment - 1) / kAlignment * kAlignment;
  const AlignedFloats scratch = allocate_floats(floats_per_thread * threads);
  if (!scratch) {
    return {Code::kOutOfMemory, "Could not allocate " + std::to_string(floats_per_thread * threads * sizeof(float)) +
                                    " bytes of scratch memory on cpu."};
  }
  ThreadPool::shared().run(cut.row_parts * cut.feature_parts, threads, [&](int slot, int64_t index) {
    if (is_cancelled(call)) return;
    LinearPiece piece = piece_of(params, cut, index);
    piece.scratch = scratch.get() + static_cast<size_t>(slot) * floats_per_thread;
    (cut.has_few_rows ? kernel.run_few_rows : kernel.run_many_rows)(piece);
  });
  if (is_cancelled(call)) return {Code::kAborted, "The operation was aborted."};
  return {};
}

}  // namespace selective_scan
