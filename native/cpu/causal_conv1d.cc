// The op: cuts the sequences into pieces of time and channels and shares these out among threads.
#include "causal_conv1d.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "causal_conv1d_piece.h"
#include "cpu_info.h"
#include "memory.h"
#include "thread_pool.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

constexpr int64_t kPiecesPerThread = 4;  // so that threads that come late or are slow do not decide the time
constexpr int64_t kElementsPerPiece = 16 * 1024;
constexpr double kStateStepsPerElement = 4;  // what an element costs in the thread pool's measure

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Some steps of a sequence.
struct Stretch {
  int64_t sequence;
  int64_t start;  // of the sequence, in its batch entry
  int64_t steps;  // of the sequence
  int64_t from;   // of the stretch, in the sequence
  int64_t to;
};

struct ConvPlan {
  explicit ConvPlan(const CausalConv1dParams& params) {
    const double elements =
        static_cast<double>(params.batch) * static_cast<double>(params.dim) * static_cast<double>(params.seqlen);
    threads = threads_worth_waking(kStateStepsPerElement * elements, cpu_threads());
    const auto share = static_cast<int64_t>(elements / static_cast<double>(kPiecesPerThread * threads));
    const int64_t wanted = std::max(kElementsPerPiece, share);
    // A state that is updated in place is read by one piece only, the one that writes it.
    const bool is_cut = params.initial_state == nullptr || params.initial_state != params.final_state;
    const int64_t longest = std::max<int64_t>(1, params.seqlen);
    int64_t steps = longest;
    if (params.layout == Layout::kBDL) {
      if (is_cut) steps = std::min(longest, wanted);
      channels = std::clamp<int64_t>(wanted / steps, 1, params.dim);
    } else {
      channels = std::min(params.dim, kMostConvChannels);
      if (is_cut) steps = std::clamp<int64_t>(wanted / channels, kMostConvWidth, std::max(longest, kMostConvWidth));
    }
    runs_of_channels = divide_up(params.dim, channels);
    for (int64_t s = 0; s < params.sequences; ++s) {
      const int64_t start = params.cu_seqlens ? params.cu_seqlens[s] : 0;
      const int64_t length = params.cu_seqlens ? params.cu_seqlens[s + 1] - start : params.seqlen;
      int64_t from = 0;
      do {
        const int64_t to = length - from < steps + kMostConvWidth ? length : from + steps;
        stretches.push_back({s, start, length, from, to});
        from = to;
      } while (from < length);
    }
  }

  int64_t pieces() const { return static_cast<int64_t>(stretches.size()) * runs_of_channels; }

  int threads;
  int64_t channels;  // in a piece, at most
  int64_t runs_of_channels;
  std::vector<Stretch> stretches;
};

size_t bytes_of(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

ConvPiece piece_of(const CausalConv1dParams& params, const ConvPlan& plan, int64_t index) {
  const Stretch& stretch = plan.stretches[static_cast<size_t>(index / plan.runs_of_channels)];
  const int64_t batch_entry = params.cu_seqlens ? 0 : stretch.sequence;
  ConvPiece piece;
  piece.params = &params;
  piece.first =
      batch_entry * params.dim * params.seqlen + stretch.start * (params.layout == Layout::kBDL ? 1 : params.dim);
  piece.steps = stretch.steps;
  piece.from = stretch.from;
  piece.to = stretch.to;
  piece.channel = index % plan.runs_of_channels * plan.channels;
  piece.channels = std::min(plan.channels, params.dim - piece.channel);
  return piece;
}

void place_states(int64_t row, ConvPiece* piece) {
  const CausalConv1dParams& params = *piece->params;
  const size_t bytes = static_cast<size_t>(params.dim * (params.width - 1)) * bytes_of(params.dtype);
  const size_t offset = static_cast<size_t>(row) * bytes;
  if (params.initial_state) piece->initial = static_cast<const char*>(params.initial_state) + offset;
  if (params.final_state) piece->final = static_cast<char*>(params.final_state) + offset;
}

// Zeros for a piece in 'bld', of a sequence without a slot.
void clear(const ConvPiece& piece) {
  const CausalConv1dParams& params = *piece.params;
  const size_t bytes = bytes_of(params.dtype);
  for (int64_t t = piece.from; t < piece.to; ++t) {
    const size_t first = static_cast<size_t>(piece.first + t * params.dim + piece.channel);
    std::memset(static_cast<char*>(params.out) + first * bytes, 0, static_cast<size_t>(piece.channels) * bytes);
  }
}

Status run_convolution(const Call& call, const CausalConv1dParams& params, const int32_t* slots,
                       const ConvKernel& kernel) {
  const ConvPlan plan(params);
  const size_t floats = static_cast<size_t>((params.width + 1) * params.dim);
  const AlignedFloats weights = allocate_floats(floats);
  if (!weights) {
    return {Code::kOutOfMemory,
            "Could not allocate " + std::to_string(floats * sizeof(float)) + " bytes of scratch memory on cpu."};
  }
  kernel.widen_weights(params, weights.get());
  const auto stopped = [&] {
    return (call.cancelled && call.cancelled->load(std::memory_order_relaxed)) || ThreadPool::shared().stopping();
  };
  ThreadPool::shared().run(plan.pieces(), plan.threads, [&](int, int64_t index) {
    if (stopped()) return;
    ConvPiece piece = piece_of(params, plan, index);
    const int64_t sequence = plan.stretches[static_cast<size_t>(index / plan.runs_of_channels)].sequence;
    const int64_t row = slots ? slots[sequence] : sequence;
    if (row < 0) return clear(piece);
    place_states(row, &piece);
    piece.weights = weights.get();
    kernel.run(piece);
    if (call.done) call.done->fetch_add(piece.channels * (piece.to - piece.from), std::memory_order_relaxed);
  });
  if (stopped()) return {Code::kAborted, "The operation was aborted."};
  return {};
}

}  // namespace

Status convolve_on_cpu(const Call& call, const CausalConv1dParams& params, const int32_t* slots) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  try {
    return run_convolution(call, params, slots, SELECTIVE_SCAN_KERNEL(causal_conv1d, set));
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "Could not allocate the plan of a convolution on cpu."};
  }
}

Status cpu_causal_conv1d(const Call& call, const CausalConv1dParams& params) {
  return convolve_on_cpu(call, params, nullptr);
}

}  // namespace selective_scan
