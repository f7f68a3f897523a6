// The op: chooses the kernel and shares out rows and runs of channels among threads. Once begun it is finished, so that
// no state is left half updated.
#include "selective_state_update.h"

#include <algorithm>
#include <cstring>

#include "cpu_info.h"
#include "flush_denormals.h"
#include "memory.h"
#include "selective_state_update_piece.h"
#include "thread_pool.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

// Pieces a thread, so that threads that come late or are slow do not decide the time.
constexpr int64_t kPiecesPerThread = 4;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How a call is cut: each row by groups, and each group into runs of whole vectors of channels.
struct Cut {
  Cut(const SelectiveStateUpdateParams& params, int lanes, int threads)
      : channels_per_group(params.dim / params.groups) {
    const int64_t blocks = divide_up(channels_per_group, lanes);
    const int64_t wanted = threads == 1 ? 1 : divide_up(kPiecesPerThread * threads, params.batch * params.groups);
    channels = divide_up(blocks, std::min(blocks, wanted)) * lanes;
    pieces_per_group = divide_up(channels_per_group, channels);
    pieces_per_row = params.groups * pieces_per_group;
  }

  int64_t channels_per_group;
  int64_t channels;  // in a piece, at most
  int64_t pieces_per_group;
  int64_t pieces_per_row;
};

StateUpdatePiece piece_of(const SelectiveStateUpdateParams& params, const Cut& cut, int64_t index) {
  const int64_t within_row = index % cut.pieces_per_row;
  const int64_t first_in_group = within_row % cut.pieces_per_group * cut.channels;
  StateUpdatePiece piece;
  piece.params = &params;
  piece.row = index / cut.pieces_per_row;
  piece.slot = params.host_slots ? params.host_slots[piece.row] : piece.row;
  piece.channel = within_row / cut.pieces_per_group * cut.channels_per_group + first_in_group;
  piece.channels = std::min(cut.channels, cut.channels_per_group - first_in_group);
  return piece;
}

size_t float_size(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

// Zeros for the piece of a row without a slot.
void clear(const StateUpdatePiece& piece) {
  const SelectiveStateUpdateParams& params = *piece.params;
  for (int64_t t = 0; t < params.tokens; ++t) {
    const int64_t first = (piece.row * params.tokens + t) * params.dim + piece.channel;
    const auto fill = [&](void* array, int64_t columns, DType dtype) {
      const size_t bytes = static_cast<size_t>(columns) * float_size(dtype);
      std::memset(static_cast<char*>(array) + static_cast<size_t>(first) * bytes, 0,
                  static_cast<size_t>(piece.channels) * bytes);
    };
    fill(params.out, 1, params.dtype);
    if (params.states) fill(params.states, params.dstate, params.state_dtype);
  }
}

}  // namespace

Status cpu_selective_state_update(const Call&, const SelectiveStateUpdateParams& params) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  const StateUpdateKernel& kernel = SELECTIVE_SCAN_KERNEL(selective_state_update, set);

  const double state_steps = static_cast<double>(params.batch) * static_cast<double>(params.tokens) *
                             static_cast<double>(params.dim) * static_cast<double>(params.dstate);
  const int threads = threads_worth_waking(state_steps, cpu_threads());
  const Cut cut(params, kernel.lanes, threads);
  constexpr size_t kAlignment = 64;  // floats; threads then share no cache line
  const size_t scratch_floats = divide_up(kernel.scratch_floats(params), kAlignment) * kAlignment;
  const AlignedFloats scratch = allocate_floats(scratch_floats * threads);
  if (!scratch) {
    return {Code::kOutOfMemory, "Could not allocate " + std::to_string(scratch_floats * threads * sizeof(float)) +
                                    " bytes of scratch memory on cpu."};
  }
  ThreadPool::shared().run(params.batch * cut.pieces_per_row, threads, [&](int slot, int64_t index) {
    const FlushDenormals flush;
    StateUpdatePiece piece = piece_of(params, cut, index);
    piece.scratch = scratch.get() + static_cast<size_t>(slot) * scratch_floats;
    if (piece.slot < 0) return clear(piece);
    kernel.run(piece);
  });
  return {};
}

}  // namespace selective_scan
