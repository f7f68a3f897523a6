#include "scan_reference.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <string>
#include <vector>

#include "block.h"

namespace emulator {
namespace {

using selective_scan::DType;
using selective_scan::Layout;

// How much a result may differ.
struct Tolerance {
  double absolute;
  double relative;
  double overall;  // of the root of the sum of squares
};

// Rounding an exact result to a type of p significant bits gives a relative error of up to 2^-p.
Tolerance tolerance_of(DType dtype) {
  if (dtype == DType::kFloat32) return {1e-5, 1e-5, 2e-6};
  const double rounding = std::exp2(dtype == DType::kFloat16 ? -11 : -8);
  return {1e-5, 1e-5 + rounding, rounding};
}

// Compares one array's numbers, and then all of them together: a small error that is everywhere shows there only.
class Comparison {
 public:
  Comparison(const char* name, const Tolerance& tolerance) : name_(name), tolerance_(tolerance) {}

  // `where` says where, if it has to.
  template <typename Where>
  void add(double got, double wanted, Where where) {
    const double error = std::abs(got - wanted);
    // The other way round, NaN would pass.
    if (!(error <= tolerance_.absolute + tolerance_.relative * std::abs(wanted))) {
      fail(std::string(name_) + " is " + std::to_string(got) + " for " + std::to_string(wanted) + " at " + where());
    }
    errors_ += error * error;
    squares_ += wanted * wanted;
  }

  void finish() const {
    const double relative = std::sqrt(errors_ / squares_);
    if (squares_ > 0 && relative > tolerance_.overall) {
      fail(std::string(name_) + " has an overall relative error of " + std::to_string(relative));
    }
  }

 private:
  const char* name_;
  Tolerance tolerance_;
  double errors_ = 0;
  double squares_ = 0;
};

// A sequence, or a chunk of one.
struct Piece {
  int index;
  int batch;
  int first;  // step
  int end;
};

Piece piece_of(const ScanShape& shape, int index) {
  if (!shape.cu_seqlens.empty()) return {index, 0, shape.cu_seqlens[index], shape.cu_seqlens[index + 1]};
  if (shape.chunk_steps == 0) return {index, index, 0, shape.seqlen};
  const int first = index % shape.chunks() * shape.chunk_steps;
  return {index, index / shape.chunks(), first, std::min(shape.seqlen, first + shape.chunk_steps)};
}

// Where u[batch][channel][step] is, and what has its shape.
size_t at(const ScanProblem& problem, int batch, int channel, int step) {
  const ScanShape& shape = problem.shape;
  const size_t b = batch;
  return problem.layout == Layout::kBDL ? (b * shape.dim() + channel) * shape.seqlen + step
                                        : (b * shape.seqlen + step) * shape.dim() + channel;
}

// Where B[batch][group][state][step] is.
size_t matrix_at(const ScanProblem& problem, int batch, int group, int state, int step) {
  const ScanShape& shape = problem.shape;
  const size_t b = batch;
  return problem.layout == Layout::kBDL ? ((b * shape.groups + group) * shape.dstate + state) * shape.seqlen + step
                                        : ((b * shape.seqlen + step) * shape.groups + group) * shape.dstate + state;
}

// The number or pair of numbers i.
std::complex<double> value_of(const ScanProblem& problem, const Numbers& numbers, size_t i) {
  if (problem.is_complex) return {numbers[2 * i], numbers[2 * i + 1]};
  return numbers[i];
}

void check_channel(const ScanProblem& problem, const Piece& piece, int channel, Comparison& out, Comparison& last) {
  const ScanShape& shape = problem.shape;
  const int group = channel / shape.group_channels;
  const size_t row = (static_cast<size_t>(piece.index) * shape.dim() + channel) * shape.dstate;
  const size_t constants = static_cast<size_t>(channel) * shape.dstate;
  std::vector<std::complex<double>> h(shape.dstate, 0.0);
  for (int n = 0; n < shape.dstate && shape.initial_state; ++n) h[n] = value_of(problem, problem.initial, row + n);
  for (int t = piece.first; t < piece.end; ++t) {
    const size_t i = at(problem, piece.batch, channel, t);
    const double u = problem.u[i];
    double dt = problem.delta[i] + (shape.bias ? problem.bias[channel] : 0.0);
    if (shape.softplus) dt = std::log1p(std::exp(dt));
    std::complex<double> sum = 0;
    for (int n = 0; n < shape.dstate; ++n) {
      const size_t varying = matrix_at(problem, piece.batch, group, n, t);
      const auto A = value_of(problem, problem.A, constants + n);
      const auto B = value_of(problem, problem.B, shape.constant_b ? constants + n : varying);
      const auto C = value_of(problem, problem.C, shape.constant_c ? constants + n : varying);
      h[n] = std::exp(dt * A) * h[n] + dt * B * u;
      sum += C * h[n];
    }
    // Of complex states the conjugates, which are left out, add as much again.
    double y = (problem.is_complex ? 2 : 1) * sum.real() + (shape.D ? problem.D[channel] * u : 0.0);
    if (shape.z) y *= problem.z[i] / (1.0 + std::exp(-problem.z[i]));
    out.add(problem.out[i], y, [&] {
      return "batch " + std::to_string(piece.batch) + " channel " + std::to_string(channel) + " step " +
             std::to_string(t);
    });
  }
  for (int n = 0; n < shape.dstate; ++n) {
    const auto where = [&] {
      return "sequence " + std::to_string(piece.index) + " channel " + std::to_string(channel) + " state " +
             std::to_string(n);
    };
    const auto got = value_of(problem, problem.last, row + n);
    last.add(got.real(), h[n].real(), where);
    last.add(got.imag(), h[n].imag(), where);
  }
}

}  // namespace

void check_results(const ScanProblem& problem) {
  Comparison out("out", tolerance_of(problem.dtype));
  Comparison last("the last state", tolerance_of(DType::kFloat32));
  for (int index = 0; index < problem.shape.pieces(); ++index) {
    const Piece piece = piece_of(problem.shape, index);
    for (int channel = 0; channel < problem.shape.dim(); ++channel) check_channel(problem, piece, channel, out, last);
  }
  out.finish();
  last.finish();
}

}  // namespace emulator
