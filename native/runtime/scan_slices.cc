#include "scan_slices.h"

#include <algorithm>
#include <utility>

namespace selective_scan {

namespace {

// Rows of all channels are brought once for the slices of a group where they are at most this part of a slice.
constexpr size_t kSharedPart = 8;

// Channels of a slice are a multiple of this where there are more: whole warps, and rows of A that stay aligned.
constexpr int64_t kChannelMultiple = 32;

// Bytes of one unit of each kind of array.
struct Sizes {
  explicit Sizes(const SelectiveScanParams& p)
      : element(p.dtype == DType::kFloat32 ? 4 : 2),
        state(static_cast<size_t>(p.dstate) * (p.is_complex ? 8 : 4)),
        step(static_cast<size_t>(p.dstate) * (p.is_complex ? 2 : 1) * element) {}

  const size_t element;
  const size_t state;  // all states of a channel: a row of A, of constant B and C, and of the initial and last state
  const size_t step;   // varying B or C of one step and group
};

class Cutter {
 public:
  Cutter(const SelectiveScanParams& params, size_t most_bytes) : p_(params), sizes_(params), most_(most_bytes) {
    plan_.arrays = kScanArrays;
  }

  HostPlan cut() {
    if (p_.batch == 0) return std::move(plan_);
    if (p_.layout == Layout::kBDL) {
      cut_channels();
    } else {
      cut_time();
    }
    return std::move(plan_);
  }

 private:
  // --- What both layouts share.

  int64_t activations() const { return p_.z != nullptr ? 4 : 3; }
  bool has_states() const { return p_.initial_state != nullptr || p_.last_state != nullptr; }

  // The arrays that have a row a channel and none of time.
  void add_channels(HostImage* image, int64_t first, int64_t count) const {
    const size_t channels = static_cast<size_t>(count);
    const size_t begin = static_cast<size_t>(first);
    image->add(kA, begin * sizes_.state, {channels * sizes_.state});
    if (!p_.varying_b) image->add(kB, begin * sizes_.state, {channels * sizes_.state});
    if (!p_.varying_c) image->add(kC, begin * sizes_.state, {channels * sizes_.state});
    if (p_.D != nullptr) image->add(kD, begin * sizeof(float), {channels * sizeof(float)});
    if (p_.delta_bias != nullptr) image->add(kDeltaBias, begin * sizeof(float), {channels * sizeof(float)});
  }

  void add_activations(Slice* slice, size_t first, size_t count) const {
    for (const ScanArray array : {kU, kDelta}) slice->in.add(array, first * sizes_.element, {count * sizes_.element});
    if (p_.z != nullptr) slice->in.add(kZ, first * sizes_.element, {count * sizes_.element});
    slice->out.add(kOut, first * sizes_.element, {count * sizes_.element});
    slice->elements = static_cast<int64_t>(count);
  }

  // Varying B and C, counted in steps of one group.
  void add_matrices(HostImage* image, int64_t first, int64_t count) const {
    const HostRows rows{static_cast<size_t>(count) * sizes_.step};
    if (p_.varying_b) image->add(kB, static_cast<size_t>(first) * sizes_.step, rows);
    if (p_.varying_c) image->add(kC, static_cast<size_t>(first) * sizes_.step, rows);
  }

  void finish(Slice slice, const SelectiveScanParams& params, std::vector<int32_t> cu_seqlens,
              int64_t rows_before = 0) {
    const size_t row_bytes = sizes_.state;
    slice.op = [params, cu_seqlens = std::move(cu_seqlens), rows_before, row_bytes](
                   const Backend& backend, const Call& call, const std::vector<void*>& at) {
      SelectiveScanParams placed = with_arrays(params, at);
      leave_out_rows(&placed, rows_before, row_bytes);
      placed.cu_seqlens = cu_seqlens.empty() ? nullptr : cu_seqlens.data();
      return backend.selective_scan(call, placed);
    };
    plan_.slices.push_back(std::move(slice));
  }

  static void leave_out_rows(SelectiveScanParams* p, int64_t rows, size_t row_bytes) {
    const auto after = [&](const void* array) { return static_cast<const char*>(array) + rows * row_bytes; };
    p->A = after(p->A);
    if (!p->varying_b) p->B = after(p->B);
    if (!p->varying_c) p->C = after(p->C);
    if (p->D != nullptr) p->D += rows;
    if (p->delta_bias != nullptr) p->delta_bias += rows;
  }

  // A and its like once for all slices, which then have all channels.
  void share_channels() {
    plan_.shared.emplace_back();
    add_channels(&plan_.shared.back(), 0, p_.dim);
  }

  // --- 'bdl': rows of one channel's time.

  void cut_channels() {
    const size_t steps = static_cast<size_t>(p_.seqlen);
    const size_t states = has_states() ? static_cast<size_t>(p_.sequences / p_.batch) * sizes_.state * 2 : 0;
    const size_t channel = activations() * steps * sizes_.element + states;
    const size_t matrices = 2 * static_cast<size_t>(p_.groups) * steps * sizes_.step;
    const size_t entry = static_cast<size_t>(p_.dim) * channel + matrices;
    if (entry <= most_) {
      share_channels();
      const int64_t entries = static_cast<int64_t>(most_ / entry);
      for (int64_t b = 0; b < p_.batch; b += entries) {
        add_block(b, std::min(entries, p_.batch - b), 0, p_.dim, /*shares_channels=*/true);
      }
      return;
    }
    int64_t channels = std::max<int64_t>(1, static_cast<int64_t>(most_ / (channel + 2 * sizes_.state)));
    if (channels > kChannelMultiple) channels -= channels % kChannelMultiple;
    const int64_t per_group = p_.dim / p_.groups;
    for (int64_t b = 0; b < p_.batch; ++b) {
      if (channels >= per_group) {
        const int64_t whole_groups = channels / per_group * per_group;
        for (int64_t c = 0; c < p_.dim; c += whole_groups) {
          add_block(b, 1, c, std::min(whole_groups, p_.dim - c), /*shares_channels=*/false);
        }
      } else {
        for (int64_t group = 0; group < p_.groups; ++group) cut_group(b, group, channels);
      }
    }
  }

  // Slices of one group share its B and C, and A and its like where these are small: few large copies go faster.
  void cut_group(int64_t b, int64_t group, int64_t channels) {
    const int64_t per_group = p_.dim / p_.groups;
    const int64_t first = group * per_group;
    const bool shares_channels = static_cast<size_t>(per_group) * sizes_.state <= most_ / kSharedPart;
    HostImage shared;
    add_matrices(&shared, (b * p_.groups + group) * p_.seqlen, p_.seqlen);
    if (shares_channels) add_channels(&shared, first, per_group);
    plan_.shared.push_back(std::move(shared));
    for (int64_t c = 0; c < per_group; c += channels) {
      const int64_t count = std::min(channels, per_group - c);
      Slice slice;
      slice.shared = static_cast<int>(plan_.shared.size()) - 1;
      add_rows(&slice, b, 1, first + c, count);
      if (!shares_channels) add_channels(&slice.in, first + c, count);
      finish_block(std::move(slice), 1, count, 1, shares_channels ? c : 0);
    }
  }

  // Whole groups, of several batch entries only if they are all groups.
  void add_block(int64_t b, int64_t entries, int64_t c, int64_t channels, bool shares_channels) {
    const int64_t groups = channels / (p_.dim / p_.groups);
    Slice slice;
    if (shares_channels) slice.shared = 0;
    add_rows(&slice, b, entries, c, channels);
    if (!shares_channels) add_channels(&slice.in, c, channels);
    add_matrices(&slice.in, (b * p_.groups + c / (p_.dim / p_.groups)) * p_.seqlen, entries * groups * p_.seqlen);
    finish_block(std::move(slice), entries, channels, groups);
  }

  // The rows that each channel of a batch entry has for itself: activations and states.
  void add_rows(Slice* slice, int64_t b, int64_t entries, int64_t c, int64_t channels) const {
    const size_t row = static_cast<size_t>(b * p_.dim + c);
    add_activations(slice, row * p_.seqlen, static_cast<size_t>(entries * channels * p_.seqlen));
    const size_t sequences = static_cast<size_t>(p_.cu_seqlens != nullptr ? p_.sequences : entries);
    const HostRows rows{channels * sizes_.state, sequences, p_.dim * sizes_.state};
    if (p_.initial_state != nullptr) slice->in.add(kInitialState, row * sizes_.state, rows);
    if (p_.last_state != nullptr) slice->out.add(kLastState, row * sizes_.state, rows);
  }

  // Rows of A and its like before those of the slice are left out.
  void finish_block(Slice slice, int64_t entries, int64_t channels, int64_t groups, int64_t rows_before = 0) {
    SelectiveScanParams params = p_;
    params.batch = entries;
    params.dim = channels;
    params.groups = groups;
    std::vector<int32_t> cu_seqlens;
    if (p_.cu_seqlens != nullptr) {
      cu_seqlens.assign(p_.cu_seqlens, p_.cu_seqlens + p_.sequences + 1);
    } else {
      params.sequences = entries;
    }
    finish(std::move(slice), params, std::move(cu_seqlens), rows_before);
  }

  // --- 'bld': rows of one step's channels, of all batch entries one after the other.

  void cut_time() {
    share_channels();
    const size_t matrices = static_cast<size_t>(p_.groups) * sizes_.step * 2;
    const size_t row = activations() * static_cast<size_t>(p_.dim) * sizes_.element + matrices;
    const size_t state = has_states() ? static_cast<size_t>(p_.dim) * sizes_.state * 2 : 0;
    const int64_t rows = std::max<int64_t>(1, static_cast<int64_t>(most_ / row));
    if (p_.cu_seqlens != nullptr) {
      cut_pack(rows, state == 0 ? p_.sequences : std::max<int64_t>(1, static_cast<int64_t>(most_ / state)));
      return;
    }
    const size_t entry = static_cast<size_t>(p_.seqlen) * row + state;
    if (entry <= most_) {
      const int64_t entries = static_cast<int64_t>(most_ / entry);
      for (int64_t b = 0; b < p_.batch; b += entries) {
        const int64_t count = std::min(entries, p_.batch - b);
        add_stretch({b * p_.seqlen, (b + count) * p_.seqlen, b, b + count, false, false});
      }
      return;
    }
    for (int64_t b = 0; b < p_.batch; ++b) {
      for (int64_t t = 0; t < p_.seqlen; t += rows) {
        const int64_t end = std::min(t + rows, p_.seqlen);
        add_stretch({b * p_.seqlen + t, b * p_.seqlen + end, b, b + 1, t > 0, end < p_.seqlen});
      }
    }
  }

  // HostRows [begin, end), in which the sequences [first, last) have a part, the first perhaps begun before and the
  // last perhaps going on after.
  struct Stretch {
    int64_t begin, end;
    int64_t first, last;
    bool continues, goes_on;
  };

  void cut_pack(int64_t most_rows, int64_t most_sequences) {
    const int32_t* const starts = p_.cu_seqlens;
    int64_t first = 0;
    for (int64_t begin = 0; begin < p_.seqlen;) {
      int64_t end = std::min(begin + most_rows, p_.seqlen);
      const int64_t beyond = std::min(first + most_sequences, p_.sequences);
      if (starts[beyond] == begin) {
        add_empty(first, beyond);
        first = beyond;
        continue;
      }
      end = std::min<int64_t>(end, starts[beyond]);
      int64_t last = first + 1;
      while (last < beyond && (starts[last] < end || end == p_.seqlen)) ++last;
      // A sequence that another stretch could hold whole is not cut.
      const int64_t start = starts[last - 1];
      if (end < starts[last] && start > begin && starts[last] - start <= most_rows) {
        end = start;
        while (last - 1 > first && starts[last - 1] >= end) --last;
      }
      const bool goes_on = starts[last] > end;
      add_stretch({begin, end, first, last, starts[first] < begin, goes_on});
      first = goes_on ? last - 1 : last;
      begin = end;
    }
    for (; first < p_.sequences; first += most_sequences)
      add_empty(first, std::min(first + most_sequences, p_.sequences));
  }

  // Empty sequences, of which there may be any number at one step: their last states are their initial ones.
  void add_empty(int64_t first, int64_t last) {
    if (p_.last_state == nullptr) return;
    const size_t state = static_cast<size_t>(p_.dim) * sizes_.state;
    const size_t bytes = static_cast<size_t>(last - first) * state;
    const size_t offset = static_cast<size_t>(first) * state;
    Slice slice;
    slice.shared = 0;
    const int source = p_.initial_state != nullptr ? static_cast<int>(kInitialState) : Region::kZeros;
    slice.in.regions.push_back({source, offset, slice.in.place(kInitialState, bytes), {bytes}});
    slice.out.add(kLastState, offset, {bytes});
    slice.op = [bytes](const Backend& backend, const Call& call, const std::vector<void*>& at) {
      return backend.copy(call.queue, at[kLastState], at[kInitialState], bytes);
    };
    plan_.slices.push_back(std::move(slice));
  }

  void add_stretch(const Stretch& s) {
    const int64_t rows = s.end - s.begin;
    Slice slice;
    slice.shared = 0;
    add_activations(&slice, static_cast<size_t>(s.begin * p_.dim), static_cast<size_t>(rows * p_.dim));
    add_matrices(&slice.in, s.begin * p_.groups, rows * p_.groups);
    add_states(&slice, s);

    SelectiveScanParams params = p_;
    params.sequences = s.last - s.first;
    std::vector<int32_t> cu_seqlens;
    const bool is_pack = p_.cu_seqlens != nullptr && params.sequences > 1;
    if (is_pack) {
      for (int64_t i = s.first; i <= s.last; ++i) {
        const int64_t start = p_.cu_seqlens[i];
        cu_seqlens.push_back(static_cast<int32_t>(std::clamp(start, s.begin, s.end) - s.begin));
      }
    }
    params.batch = is_pack ? 1 : params.sequences;
    params.seqlen = rows / params.batch;
    finish(std::move(slice), params, std::move(cu_seqlens));
  }

  void add_states(Slice* slice, const Stretch& s) const {
    const size_t state = static_cast<size_t>(p_.dim) * sizes_.state;
    const size_t count = static_cast<size_t>(s.last - s.first);
    const size_t carried = s.continues ? 1 : 0;
    if (p_.initial_state != nullptr || s.continues) {
      slice->carries_in = s.continues;
      slice->carry_in = slice->in.place(kInitialState, count * state);
      slice->carry_bytes = state;
      const bool is_given = p_.initial_state != nullptr;
      const size_t bytes = (count - carried) * state;
      if (bytes > 0) {
        slice->in.regions.push_back({is_given ? static_cast<int>(kInitialState) : Region::kZeros,
                                     (static_cast<size_t>(s.first) + carried) * state,
                                     slice->carry_in + carried * state,
                                     {bytes}});
      }
    }
    if (p_.last_state != nullptr || s.goes_on) {
      const size_t offset = slice->out.place(kLastState, count * state);
      slice->carry_out = offset + (count - 1) * state;
      const size_t bytes = (count - (s.goes_on ? 1 : 0)) * state;
      if (p_.last_state != nullptr && bytes > 0) {
        slice->out.regions.push_back({kLastState, static_cast<size_t>(s.first) * state, offset, {bytes}});
      }
    }
  }

  const SelectiveScanParams& p_;
  const Sizes sizes_;
  const size_t most_;
  HostPlan plan_;
};

}  // namespace

SelectiveScanParams with_arrays(SelectiveScanParams params, const std::vector<void*>& at) {
  params.u = at[kU];
  params.delta = at[kDelta];
  params.A = at[kA];
  params.B = at[kB];
  params.C = at[kC];
  params.D = static_cast<const float*>(at[kD]);
  params.z = at[kZ];
  params.delta_bias = static_cast<const float*>(at[kDeltaBias]);
  params.initial_state = at[kInitialState];
  params.out = at[kOut];
  params.last_state = at[kLastState];
  return params;
}

HostPlan slice_scan(const SelectiveScanParams& params, size_t most_bytes) { return Cutter(params, most_bytes).cut(); }

}  // namespace selective_scan
