// The kernels of the convolution and of its update, on random problems. Their threads share nothing and wait for
// nobody, so they simply run one after the other. Arguments: seed, problems.
#include "cuda_names.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "../../cuda/causal_conv1d_channels.cuh"
#include "../../cuda/causal_conv1d_states.cuh"
#include "../../cuda/causal_conv1d_time.cuh"
#include "../../cuda/causal_conv1d_update_kernel.cuh"

namespace {

using emulator::DeviceArray;
using selective_scan::ConvArgs;
using selective_scan::ConvUpdateArgs;

template <typename Kernel>
void run_grid(int64_t threads, unsigned block_size, const Kernel& kernel) {
  for (int64_t thread = 0; thread < (threads + block_size - 1) / block_size * block_size; ++thread) {
    blockIdx.x = static_cast<unsigned>(thread / block_size);
    threadIdx.x = static_cast<unsigned>(thread % block_size);
    kernel();
  }
}

// An array of device memory whose guards are looked at.
template <typename T>
class Array {
 public:
  Array(size_t size, DeviceArray::Use use) : size_(size), memory_(size * sizeof(T), use) {}
  Array(const std::vector<float>& values) : Array(values.size(), DeviceArray::Use::kInput) {
    for (size_t i = 0; i < size_; ++i) data()[i] = T(values[i]);
  }

  T* data() { return static_cast<T*>(memory_.data()); }
  std::vector<float> values(const char* name) {
    memory_.check(name);
    std::vector<float> result;
    for (size_t i = 0; i < size_; ++i) result.push_back(static_cast<float>(data()[i]));
    return result;
  }

 private:
  size_t size_;
  DeviceArray memory_;
};

struct Problem {
  int batch, dim, seqlen, width;
  bool is_bld, has_silu, has_bias, has_state;
  std::vector<int32_t> starts;  // of packed sequences
  std::vector<float> x, weight, bias, state;

  explicit Problem(std::mt19937& random) {
    const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    const bool is_packed = draw(0, 1) == 1;
    batch = is_packed ? 1 : draw(1, 3);
    dim = draw(0, 1) == 1 ? 4 * draw(1, 10) : draw(1, 40);
    seqlen = draw(0, 2) == 0 ? draw(1, 12) : draw(1, 200);
    width = draw(2, 8);
    is_bld = draw(0, 1) == 1;
    has_silu = draw(0, 1) == 1;
    has_bias = draw(0, 1) == 1;
    has_state = draw(0, 1) == 1;
    if (is_packed) {
      starts = {0, seqlen};
      for (int i = draw(0, 12); i > 0; --i) starts.push_back(draw(0, seqlen));
      std::sort(starts.begin(), starts.end());
    }
    // Few bits, so that they are of every type and their sums exact.
    const auto fill = [&](size_t size) {
      std::vector<float> values(size);
      for (float& value : values) value = static_cast<float>(draw(-8, 8)) / 8;
      return values;
    };
    x = fill(static_cast<size_t>(batch) * dim * seqlen);
    weight = fill(static_cast<size_t>(dim) * width);
    bias = fill(dim);
    state = fill(static_cast<size_t>(sequences()) * dim * (width - 1));
  }

  int sequences() const { return starts.empty() ? batch : static_cast<int>(starts.size()) - 1; }
  int begin(int s) const { return starts.empty() ? 0 : starts[s]; }
  int end(int s) const { return starts.empty() ? seqlen : starts[s + 1]; }
  bool all_have_steps() const {
    for (int s = 0; s < sequences(); ++s) {
      if (begin(s) == end(s)) return false;
    }
    return true;
  }
  size_t at(int s, int d, int t) const {  // a step of the batch entry
    const size_t entry = starts.empty() ? s : 0;
    return is_bld ? (entry * seqlen + t) * dim + d : (entry * dim + d) * seqlen + t;
  }
  float input(int s, int d, int t) const {  // a step of the sequence, or one before it
    if (t >= 0) return x[at(s, d, begin(s) + t)];
    return has_state ? state[(static_cast<size_t>(s) * dim + d) * (width - 1) + width - 1 + t] : 0.0f;
  }
};

struct Results {
  std::vector<float> out;
  std::vector<float> states;
};

Results reference(const Problem& p) {
  Results results{std::vector<float>(p.x.size()), {}};
  for (int s = 0; s < p.sequences(); ++s) {
    for (int d = 0; d < p.dim; ++d) {
      const int steps = p.end(s) - p.begin(s);
      for (int t = 0; t < steps; ++t) {
        float y = p.has_bias ? p.bias[d] : 0.0f;
        for (int k = 0; k < p.width; ++k) y += p.weight[d * p.width + k] * p.input(s, d, t - (p.width - 1) + k);
        results.out[p.at(s, d, p.begin(s) + t)] = p.has_silu ? y / (1 + std::exp(-y)) : y;
      }
      for (int j = 0; j < p.width - 1; ++j) results.states.push_back(p.input(s, d, steps - (p.width - 1) + j));
    }
  }
  return results;
}

void compare(const char* what, const std::vector<float>& got, const std::vector<float>& want, float tolerance) {
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::fabs(got[i] - want[i]) <= tolerance * (1 + std::fabs(want[i]))) continue;
    emulator::fail(std::string(what) + " " + std::to_string(i) + ": " + std::to_string(got[i]) + " for " +
                   std::to_string(want[i]));
  }
}

template <typename Element>
constexpr float kTolerance = sizeof(Element) == 4 ? 1e-6f : 0.01f;

template <typename Element, int kWindow>
void check_convolution(const Problem& p, std::mt19937& random) {
  constexpr auto kOutput = DeviceArray::Use::kOutput;
  Array<Element> x(p.x), weight(p.weight), state(p.state), out(p.x.size(), kOutput), final(p.state.size(), kOutput);
  Array<float> bias(p.bias);
  ConvArgs args;
  Array<float> wide_weight(p.weight);
  args.filter = {wide_weight.data(), p.has_bias ? bias.data() : nullptr, p.width, true, p.has_silu};
  if (!p.has_bias && random() % 2 == 0) args.filter = {weight.data(), nullptr, p.width, false, p.has_silu};
  args.x = x.data();
  args.out = out.data();
  args.initial_state = p.has_state ? state.data() : nullptr;
  const bool in_strips = p.is_bld && p.all_have_steps();
  args.final_state = in_strips ? final.data() : nullptr;
  args.cu_seqlens = p.starts.empty() ? nullptr : p.starts.data();
  args.batch = p.batch;
  args.dim = p.dim;
  args.seqlen = p.seqlen;
  args.sequences = p.sequences();
  args.kept = p.width - 1;
  args.strip_steps = 8 << random() % 4;
  args.strips = (p.seqlen + args.strip_steps - 1) / args.strip_steps;

  using namespace selective_scan;
  constexpr unsigned kThreads = kConvThreads;
  const int64_t elements = static_cast<int64_t>(p.x.size());
  const int64_t columns = static_cast<int64_t>(p.batch) * p.dim * args.strips;
  if (!p.is_bld) {
    run_grid((elements + kConvRun<Element> - 1) / kConvRun<Element>, kThreads,
             [&] { convolve_time<Element, kWindow>(args); });
  } else if (kWindow == 4 && p.dim % 4 == 0) {
    run_grid(columns / 4, kThreads, [&] { convolve_channels<Element, 4, 4>(args); });
  } else {
    run_grid(columns, kThreads, [&] { convolve_channels<Element, 8, 1>(args); });
  }
  args.final_state = final.data();
  using Bits = std::conditional_t<sizeof(Element) == 4, uint32_t, uint16_t>;
  const int64_t channel_stride = p.is_bld ? 1 : p.seqlen;
  const int64_t step_stride = p.is_bld ? p.dim : 1;
  const int64_t rows = in_strips ? 0 : args.sequences * args.dim;
  run_grid(rows, kThreads, [&] { keep_last_inputs<Bits>(args, channel_stride, step_stride); });
  const Results want = reference(p);
  compare("out", out.values("out"), want.out, kTolerance<Element>);
  compare("final state", final.values("the final state"), want.states, 0);
}

// The sequences of a batch in 'bld' as rows of tokens, whose states are in slots in another order.
template <typename Element, int kWindow>
void check_update(const Problem& p) {
  Array<Element> x(p.x), weight(p.weight), out(p.x.size(), DeviceArray::Use::kOutput);
  const size_t row = static_cast<size_t>(p.dim) * (p.width - 1);
  std::vector<float> pool((p.batch + 2) * row, 7.0f);
  std::vector<int32_t> slots;
  for (int b = 0; b < p.batch; ++b) {
    slots.push_back(p.batch - b);
    std::copy_n(p.state.begin() + b * row, row, pool.begin() + slots[b] * row);
  }
  Array<Element> state(pool);
  ConvUpdateArgs args;
  args.filter = {weight.data(), nullptr, p.width, sizeof(Element) == 4, p.has_silu};
  args.state = state.data();
  args.x = x.data();
  args.out = out.data();
  args.slots = slots.data();
  args.slots_end = p.batch + 2;
  args.batch = p.batch;
  args.tokens = p.seqlen;
  args.dim = p.dim;
  gridDim.y = 2;
  for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y) {
    run_grid(p.dim, selective_scan::kConvUpdateThreads,
             [&] { selective_scan::update_convolution<Element, kWindow>(args); });
  }
  const Results want = reference(p);
  for (int b = 0; b < p.batch; ++b) std::copy_n(want.states.begin() + b * row, row, pool.begin() + slots[b] * row);
  compare("out", out.values("out"), want.out, kTolerance<Element>);
  compare("state", state.values("the state"), pool, 0);
}

template <typename Element, int kWindow>
void check_window(Problem p, std::mt19937& random) {
  check_convolution<Element, kWindow>(p, random);
  if (!p.starts.empty() || !p.is_bld) return;
  p.has_bias = false;
  p.has_state = true;
  check_update<Element, kWindow>(p);
}

template <typename Element>
void check(const Problem& p, std::mt19937& random) {
  if (p.width <= 4) check_window<Element, 4>(p, random);
  check_window<Element, 8>(p, random);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s <seed> <problems>\n", argv[0]);
    return 2;
  }
  const int problems = std::atoi(argv[2]);
  for (int i = 0; i < problems; ++i) {
    std::seed_seq seeds{std::atoi(argv[1]), i};
    std::mt19937 random(seeds);
    const Problem p(random);
    emulator::describe_case("problem " + std::to_string(i) + " of seed " + argv[1] + ": batch " +
                            std::to_string(p.batch) + ", dim " + std::to_string(p.dim) + ", seqlen " +
                            std::to_string(p.seqlen) + ", width " + std::to_string(p.width) +
                            (p.is_bld ? ", 'bld', " : ", 'bdl', ") + std::to_string(p.starts.size()) + " starts");
    check<float>(p, random);
    check<__half>(p, random);
    check<__nv_bfloat16>(p, random);
  }
  std::printf("%d cases each, seed %s: all right\n", problems, argv[1]);
  return 0;
}
