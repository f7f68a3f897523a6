// The kernels that give a row to a block, on random rows: normalisation, softmax and sampling.
#include "cuda_names.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "../../cuda/rms_norm_kernel.cuh"
#include "../../cuda/softmax_kernel.cuh"
#include "sample_check.h"
#include "scan_problem.h"

namespace {

using emulator::DeviceArray;
using emulator::Numbers;
using selective_scan::DType;

int pick(std::mt19937& random, std::initializer_list<int> choices) {
  return choices.begin()[random() % choices.size()];
}

// Fewer blocks than rows, so that some go on with another.
template <typename Kernel>
void run_blocks(int rows, unsigned threads, std::mt19937& random, const Kernel& kernel) {
  gridDim.x = (rows + 1) / 2;
  for (unsigned block = 0; block < gridDim.x; ++block) emulator::run_block(block, threads, random, kernel);
}

void check_close(const char* name, const Numbers& got, DType dtype, const std::vector<double>& want) {
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    size += want[i] * want[i];
  }
  // Of 16 bits: what rounding costs where it costs most.
  const double limit = dtype == DType::kFloat32 ? 5e-7 : dtype == DType::kFloat16 ? 0x1p-11 : 0x1p-8;
  if (!(std::sqrt(difference) <= limit * std::sqrt(size)))
    emulator::fail(std::string(name) + " is wrong by " + std::to_string(std::sqrt(difference / size) / limit) +
                   " of what it may be");
  got.array().check(name);
}

struct RowShape {
  int rows;
  int length;
  DType out_dtype;
};

RowShape draw_shape(std::mt19937& random) {
  RowShape shape;
  shape.rows = pick(random, {1, 2, 5});
  shape.length = pick(random, {1, 8, 17, 96, 1000, 1001, 2560, 8192, 8200, 9001});
  shape.out_dtype = static_cast<DType>(random() % 3);
  emulator::describe_case("rows " + std::to_string(shape.rows) + " of " + std::to_string(shape.length));
  return shape;
}

template <typename Element>
void check_rms_norm(DType dtype, std::mt19937& random) {
  const RowShape shape = draw_shape(random);
  const size_t count = static_cast<size_t>(shape.rows) * shape.length;
  const DType weight_dtype = random() % 2 == 0 ? DType::kFloat32 : dtype;
  Numbers x(count, dtype, DeviceArray::Use::kInput), weight(shape.length, weight_dtype, DeviceArray::Use::kInput);
  Numbers residual(count, DType::kFloat32, DeviceArray::Use::kInput);
  Numbers out(count, shape.out_dtype, DeviceArray::Use::kOutput);
  Numbers sum(count, DType::kFloat32, DeviceArray::Use::kOutput);
  x.draw(-3, 3, random);
  weight.draw(0.5, 2, random);
  residual.draw(-1, 1, random);
  const bool has_residual = random() % 2 == 0;

  selective_scan::RmsNormParams params;
  params.rows = shape.rows;
  params.dim = shape.length;
  params.eps = 0.01f;
  params.dtype = dtype;
  params.weight_dtype = weight_dtype;
  params.out_dtype = shape.out_dtype;
  params.x = x.data();
  params.weight = weight.data();
  params.residual = has_residual ? static_cast<const float*>(residual.data()) : nullptr;
  params.out = out.data();
  params.sum = static_cast<float*>(sum.data());
  run_blocks(shape.rows, selective_scan::threads_of_row(shape.length), random, [&] {
    if (selective_scan::fits_registers(shape.length)) {
      selective_scan::rms_norm_in_registers<Element>(params);
    } else {
      selective_scan::rms_norm_in_passes<Element>(params);
    }
  });

  std::vector<double> want_sum(count), want(count);
  for (size_t i = 0; i < count; ++i) want_sum[i] = x[i] + (has_residual ? residual[i] : 0);
  for (int row = 0; row < shape.rows; ++row) {
    const double* const r = &want_sum[static_cast<size_t>(row) * shape.length];
    double squares = 0;
    for (int i = 0; i < shape.length; ++i) squares += r[i] * r[i];
    const double scale = 1 / std::sqrt(squares / shape.length + params.eps);
    for (int i = 0; i < shape.length; ++i) want[row * shape.length + i] = r[i] * scale * weight[i];
  }
  check_close("rms_norm", out, shape.out_dtype, want);
  check_close("rms_norm's sum", sum, DType::kFloat32, want_sum);
}

template <typename Element>
void check_softmax(DType dtype, std::mt19937& random) {
  const RowShape shape = draw_shape(random);
  const size_t count = static_cast<size_t>(shape.rows) * shape.length;
  Numbers x(count, dtype, DeviceArray::Use::kInput);
  Numbers out(count, shape.out_dtype, DeviceArray::Use::kOutput);
  x.draw(-8, 8, random);

  selective_scan::SoftmaxParams params;
  params.rows = shape.rows;
  params.length = shape.length;
  // Probabilities of a long row are too small for float16.
  params.log = shape.out_dtype == DType::kFloat16 || random() % 2 == 0;
  params.dtype = dtype;
  params.out_dtype = shape.out_dtype;
  params.x = x.data();
  params.out = out.data();
  run_blocks(shape.rows, selective_scan::threads_of_row(shape.length), random, [&] {
    if (selective_scan::fits_registers(shape.length)) {
      selective_scan::softmax_in_registers<Element>(params);
    } else {
      selective_scan::softmax_in_passes<Element>(params);
    }
  });

  std::vector<double> want(count);
  for (size_t row = 0; row < count; row += shape.length) {
    double maximum = x[row];
    for (int i = 1; i < shape.length; ++i) maximum = std::max(maximum, x[row + i]);
    double sum = 0;
    for (int i = 0; i < shape.length; ++i) sum += std::exp(x[row + i] - maximum);
    for (int i = 0; i < shape.length; ++i) {
      const double above = x[row + i] - maximum;
      want[row + i] = params.log ? above - std::log(sum) : std::exp(above) / sum;
    }
  }
  check_close("softmax", out, shape.out_dtype, want);
}

template <typename Element>
void check_all(DType dtype, std::mt19937& random) {
  check_rms_norm<Element>(dtype, random);
  check_softmax<Element>(dtype, random);
  emulator::check_sample<Element>(dtype, random);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s <seed> <cases>\n", argv[0]);
    return 2;
  }
  std::signal(SIGSEGV, [](int) { emulator::fail("an access to memory that nobody has"); });
  const int cases = std::atoi(argv[2]);
  std::mt19937 random(static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)));
  for (int i = 0; i < cases; ++i) {
    check_all<float>(DType::kFloat32, random);
    check_all<__half>(DType::kFloat16, random);
    check_all<__nv_bfloat16>(DType::kBFloat16, random);
  }
  std::printf("three ops of three types, %d cases each, seed %s: all right\n", cases, argv[1]);
  return 0;
}
