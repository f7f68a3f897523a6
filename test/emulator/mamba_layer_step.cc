// The four kernels of a layer's step against the layer in float64, on random problems that a few blocks share.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cuda_names.h"
#include "scan_problem.h"

using std::max;
using std::min;

#include "../../cuda/mamba_layer_step_in.cuh"
#include "../../cuda/mamba_layer_step_out.cuh"
#include "../../cuda/mamba_layer_step_scan.cuh"
#include "../../cuda/mamba_layer_step_select.cuh"

namespace {

using emulator::DeviceArray;
using emulator::Numbers;
using selective_scan::DType;
using selective_scan::LayerStepArgs;
using selective_scan::RowShares;

struct Sizes {
  explicit Sizes(std::mt19937& random) {
    const auto draw = [&](int least, int most) { return least + static_cast<int>(random() % (most - least + 1)); };
    const bool is_aligned = random() % 3 != 0;
    const int unit = is_aligned ? 8 : 1;
    batch = draw(1, 8) <= 4 ? 1 : draw(2, 9);
    hidden = unit * draw(1, is_aligned ? 40 : 90);
    dim = unit * draw(1, is_aligned ? 40 : 90);
    // Rows of several vectors a thread.
    if (random() % 4 == 0) {
      hidden = 4 * draw(257, 700);
      dim = draw(1, 24);
    }
    rank = unit * draw(1, 3);
    dstate = random() % 2 == 0 ? 16 : draw(1, 21);
    width = draw(2, 4);
    multiprocessors = draw(1, 9);
    has_biases = random() % 2 == 0;
    mixer_norm = random() % 3 == 0;
    has_slots = random() % 2 == 0;
    wide_vectors = random() % 2 == 0;
  }

  std::string describe() const {
    std::string text;
    for (const auto& [name, value] : {std::pair{"batch", batch},
                                      {"hidden", hidden},
                                      {"dim", dim},
                                      {"rank", rank},
                                      {"dstate", dstate},
                                      {"width", width},
                                      {"multiprocessors", multiprocessors},
                                      {"mixer_norm", int{mixer_norm}},
                                      {"slots", int{has_slots}}}) {
      text += std::string(", ") + name + " " + std::to_string(value);
    }
    return text;
  }

  int batch, hidden, dim, rank, dstate, width, multiprocessors;
  bool has_biases, mixer_norm, has_slots, wide_vectors;
};

RowShares share_out(int rows, int blocks) {
  RowShares shares;
  shares.blocks = static_cast<unsigned>(std::min(rows, blocks));
  shares.each = rows / shares.blocks;
  shares.larger = static_cast<unsigned>(rows) % shares.blocks;
  return shares;
}

template <typename Kernel>
void run_grid(unsigned blocks, unsigned passes, unsigned threads, int64_t shared_bytes, std::mt19937& random,
              const Kernel& kernel) {
  gridDim.x = blocks;
  gridDim.y = passes;
  for (blockIdx.y = 0; blockIdx.y < passes; ++blockIdx.y) {
    for (unsigned block = 0; block < blocks; ++block) {
      emulator::clear_shared_memory(static_cast<size_t>(shared_bytes), threads);
      emulator::run_block(block, threads, random, kernel);
      emulator::check_shared_memory();
    }
  }
}

template <typename Element>
class Step {
 public:
  Step(const Sizes& sizes, DType dtype, std::mt19937& random)
      : s_(sizes),
        dtype_(dtype),
        vector_dtype_(sizes.wide_vectors ? DType::kFloat32 : dtype),
        slots_(sizes.has_slots ? sizes.batch + 2 : sizes.batch),
        input_(make(s_.batch * s_.hidden, dtype, random)),
        residual_(make(s_.batch * s_.hidden, DType::kFloat32, random)),
        norm_weight_(make(s_.hidden, vector_dtype_, random)),
        in_proj_(make_matrix(2 * s_.dim, s_.hidden, dtype, random)),
        in_bias_(make(2 * s_.dim, vector_dtype_, random)),
        conv_weight_(make(s_.dim * s_.width, vector_dtype_, random)),
        conv_bias_(make(s_.dim, vector_dtype_, random)),
        conv_state_(make(slots_ * s_.dim * (s_.width - 1), vector_dtype_, random)),
        x_proj_(make_matrix(s_.rank + 2 * s_.dstate, s_.dim, dtype, random)),
        dt_proj_(make_matrix(s_.dim, s_.rank, dtype, random)),
        dt_bias_(make(s_.dim, DType::kFloat32, random)),
        A_(make(s_.dim * s_.dstate, DType::kFloat32, random, -1.5f, -0.1f)),
        D_(make(s_.dim, DType::kFloat32, random)),
        ssm_state_(make(slots_ * s_.dim * s_.dstate, DType::kFloat32, random)),
        out_proj_(make_matrix(s_.hidden, s_.dim, dtype, random)),
        out_bias_(make(s_.hidden, vector_dtype_, random)),
        out_(make(s_.batch * s_.hidden, dtype, random)),
        u_(make(s_.batch * s_.dim, dtype, random)),
        z_(make(s_.batch * s_.dim, dtype, random)),
        y_(make(s_.batch * s_.dim, dtype, random)),
        selected_(make(s_.batch * (s_.rank + 2 * s_.dstate), DType::kFloat32, random)) {
    for (int b = 0; s_.has_slots && b < s_.batch; ++b) row_slots_.push_back(b == 1 ? -1 : s_.batch + 1 - b);
  }

  void check(std::mt19937& random) {
    reference();
    run(random);
    const double limit = sizeof(Element) == 4 ? 3e-5 : 0.04;
    compare("out", out_, want_out_, limit);
    compare("residual", residual_, want_residual_, 1e-6);
    compare("conv state", conv_state_, want_conv_, vector_dtype_ == DType::kFloat32 && limit < 1e-3 ? 1e-5 : 0.02);
    compare("ssm state", ssm_state_, want_ssm_, limit);
  }

 private:
  static Numbers make(int64_t count, DType dtype, std::mt19937& random, float least = -0.7f, float most = 0.8f) {
    Numbers numbers(static_cast<size_t>(count), dtype, DeviceArray::Use::kInput);
    numbers.draw(least, most, random);
    return numbers;
  }

  // Products are then about as large as what is multiplied.
  static Numbers make_matrix(int rows, int columns, DType dtype, std::mt19937& random) {
    const float most = 1.7f / std::sqrt(static_cast<float>(columns));
    return make(rows * columns, dtype, random, -most, most);
  }

  static void compare(const char* what, const Numbers& got, const std::vector<double>& want, double limit) {
    got.array().check(what);
    double difference = 0;
    double size = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      difference += (got[i] - want[i]) * (got[i] - want[i]);
      size += want[i] * want[i];
    }
    const double error = std::sqrt(difference / std::max(size, 1e-9));
    if (!(error <= limit)) emulator::fail(std::string(what) + " is wrong by " + std::to_string(error));
  }

  int slot_of(int row) const { return row_slots_.empty() ? row : row_slots_[row]; }

  void run(std::mt19937& random) {
    LayerStepArgs args;
    selective_scan::MambaLayerStepParams& p = args.params;
    p.batch = s_.batch;
    p.hidden = s_.hidden;
    p.dim = s_.dim;
    p.dt_rank = s_.rank;
    p.dstate = s_.dstate;
    p.width = s_.width;
    p.slots = slots_;
    p.dtype = dtype_;
    p.conv_state_dtype = vector_dtype_;
    p.mixer_norm = s_.mixer_norm;
    p.input = input_.data();
    p.residual = static_cast<float*>(residual_.data());
    p.norm_weight = {norm_weight_.data(), vector_dtype_};
    p.in_proj = in_proj_.data();
    p.conv_weight = {conv_weight_.data(), vector_dtype_};
    if (s_.has_biases) {
      p.in_bias = {in_bias_.data(), vector_dtype_};
      p.conv_bias = {conv_bias_.data(), vector_dtype_};
      p.out_bias = {out_bias_.data(), vector_dtype_};
    }
    p.conv_state = conv_state_.data();
    p.x_proj = x_proj_.data();
    p.dt_proj = dt_proj_.data();
    p.dt_bias = static_cast<const float*>(dt_bias_.data());
    p.A = static_cast<const float*>(A_.data());
    p.D = static_cast<const float*>(D_.data());
    p.ssm_state = ssm_state_.data();
    p.out_proj = out_proj_.data();
    p.out = out_.data();
    args.slots = row_slots_.empty() ? nullptr : row_slots_.data();
    args.slots_end = static_cast<uint32_t>(slots_);
    args.inverse_hidden = 1.0f / static_cast<float>(s_.hidden);
    args.u = u_.data();
    args.z = z_.data();
    args.y = y_.data();
    args.selected = static_cast<float*>(selected_.data());
    const int rows = std::min(s_.batch, selective_scan::kProductRows);
    args.in_rows = args.select_rows = args.scan_rows = args.out_rows = rows;
    args.in_shares = share_out(2 * s_.dim, s_.multiprocessors);
    args.select_shares = share_out(s_.rank + 2 * s_.dstate, s_.multiprocessors);
    args.out_shares = share_out(s_.hidden, s_.multiprocessors);

    using namespace selective_scan;
    const auto passes = static_cast<unsigned>((s_.batch + rows - 1) / rows);
    const auto bytes_of = [&](int columns) {
      return ring_bytes(0) + rows * (activation_stride(columns, sizeof(Element)) + kRowSumBytes);
    };
    run_grid(args.in_shares.blocks, passes, kProductThreads, bytes_of(s_.hidden), random,
             [&] { mamba_layer_step_in<Element>(args); });
    run_grid(args.select_shares.blocks, passes, kProductThreads, bytes_of(s_.dim), random,
             [&] { mamba_layer_step_select<Element>(args); });
    const int64_t scan_bytes = scan_weight_bytes<Element>(s_.rank) + rows * scan_row_bytes<Element>(s_.rank, s_.dstate);
    run_grid(static_cast<unsigned>((s_.dim + kScanChannels - 1) / kScanChannels), passes, kScanRowThreads * rows,
             scan_bytes, random, [&] { mamba_layer_step_scan<Element>(args); });
    run_grid(args.out_shares.blocks, passes, kProductThreads, bytes_of(s_.dim), random,
             [&] { mamba_layer_step_out<Element>(args); });
  }

  static std::vector<double> values_of(const Numbers& numbers, int64_t count) {
    std::vector<double> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(numbers[i]);
    return values;
  }

  static std::vector<double> product(const Numbers& matrix, int rows, const std::vector<double>& x) {
    std::vector<double> result(rows);
    for (int r = 0; r < rows; ++r) {
      for (size_t i = 0; i < x.size(); ++i) result[r] += matrix[r * x.size() + i] * x[i];
    }
    return result;
  }

  static void normalize(double* x, int count, double eps) {
    double squares = 0;
    for (int i = 0; i < count; ++i) squares += x[i] * x[i];
    for (int i = 0; i < count; ++i) x[i] /= std::sqrt(squares / count + eps);
  }

  static double silu(double x) { return x / (1 + std::exp(-x)); }

  void reference() {
    want_residual_ = values_of(residual_, s_.batch * s_.hidden);
    want_conv_ = values_of(conv_state_, slots_ * s_.dim * (s_.width - 1));
    want_ssm_ = values_of(ssm_state_, slots_ * s_.dim * s_.dstate);
    want_out_.assign(static_cast<size_t>(s_.batch) * s_.hidden, 0);
    for (int row = 0; row < s_.batch; ++row) {
      for (int i = 0; i < s_.hidden; ++i) want_residual_[row * s_.hidden + i] += input_[row * s_.hidden + i];
      if (slot_of(row) >= 0) reference_row(row, slot_of(row));
    }
  }

  void reference_row(int row, int slot) {
    std::vector<double> normal(want_residual_.begin() + row * s_.hidden,
                               want_residual_.begin() + (row + 1) * s_.hidden);
    normalize(normal.data(), s_.hidden, 1e-5);
    for (int i = 0; i < s_.hidden; ++i) normal[i] *= norm_weight_[i];
    std::vector<double> xz = product(in_proj_, 2 * s_.dim, normal);
    std::vector<double> u;
    for (int d = 0; d < 2 * s_.dim && s_.has_biases; ++d) xz[d] += in_bias_[d];
    for (int d = 0; d < s_.dim; ++d) {
      double* const past = want_conv_.data() + (slot * s_.dim + d) * (s_.width - 1);
      double sum = s_.has_biases ? conv_bias_[d] : 0;
      for (int k = 0; k < s_.width; ++k) sum += conv_weight_[d * s_.width + k] * (k < s_.width - 1 ? past[k] : xz[d]);
      std::copy(past + 1, past + s_.width - 1, past);
      past[s_.width - 2] = xz[d];
      u.push_back(silu(sum));
    }
    std::vector<double> selected = product(x_proj_, s_.rank + 2 * s_.dstate, u);
    double* const B = selected.data() + s_.rank;
    double* const C = B + s_.dstate;
    if (s_.mixer_norm) {
      normalize(selected.data(), s_.rank, 1e-6);
      normalize(B, s_.dstate, 1e-6);
      normalize(C, s_.dstate, 1e-6);
    }
    std::vector<double> dt = product(dt_proj_, s_.dim, {selected.begin(), selected.begin() + s_.rank});
    std::vector<double> y;
    for (int d = 0; d < s_.dim; ++d) {
      const double step = std::log1p(std::exp(dt[d] + dt_bias_[d]));
      double sum = D_[d] * u[d];
      for (int n = 0; n < s_.dstate; ++n) {
        double& h = want_ssm_[(slot * s_.dim + d) * s_.dstate + n];
        h = std::exp(step * A_[d * s_.dstate + n]) * h + step * B[n] * u[d];
        sum += C[n] * h;
      }
      y.push_back(sum * silu(xz[s_.dim + d]));
    }
    const std::vector<double> out = product(out_proj_, s_.hidden, y);
    for (int i = 0; i < s_.hidden; ++i) {
      want_out_[row * s_.hidden + i] = out[i] + (s_.has_biases ? out_bias_[i] : 0);
    }
  }

  const Sizes& s_;
  const DType dtype_;
  const DType vector_dtype_;
  const int slots_;
  std::vector<int32_t> row_slots_;
  Numbers input_, residual_, norm_weight_, in_proj_, in_bias_, conv_weight_, conv_bias_, conv_state_, x_proj_, dt_proj_,
      dt_bias_, A_, D_, ssm_state_, out_proj_, out_bias_, out_;
  Numbers u_, z_, y_, selected_;  // between the kernels
  std::vector<double> want_out_, want_residual_, want_conv_, want_ssm_;
};

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
    const Sizes sizes(random);
    emulator::describe_case("problem " + std::to_string(i) + " of seed " + argv[1] + sizes.describe());
    Step<__nv_bfloat16>(sizes, DType::kBFloat16, random).check(random);
    Step<__half>(sizes, DType::kFloat16, random).check(random);
    Step<float>(sizes, DType::kFloat32, random).check(random);
  }
  std::printf("%d cases each, seed %s: all right\n", problems, argv[1]);
  return 0;
}
