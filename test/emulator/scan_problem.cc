#include "scan_problem.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <sstream>

namespace emulator {
namespace {

using selective_scan::DType;

constexpr auto kInput = DeviceArray::Use::kInput;
constexpr auto kOutput = DeviceArray::Use::kOutput;

size_t size_of(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

int draw_int(int least, int most, std::mt19937& random) {
  return least + static_cast<int>(random() % static_cast<unsigned>(most - least + 1));
}

// Numbers of the states of `rows` channels.
size_t state_count(const ScanShape& shape, size_t rows, bool is_complex) {
  return rows * shape.dstate * (is_complex ? 2 : 1);
}

// Numbers of B or C.
size_t matrix_count(const ScanShape& shape, bool constant, bool is_complex) {
  if (constant) return state_count(shape, shape.dim(), is_complex);
  return state_count(shape, static_cast<size_t>(shape.batch) * shape.groups * shape.seqlen, is_complex);
}

bool draw_bool(std::mt19937& random) { return random() % 2 == 0; }

void set_all_options(ScanShape& shape) { shape.z = shape.D = shape.bias = shape.softplus = shape.initial_state = true; }

// Ends of sequences anywhere, some of them of no steps.
std::vector<int32_t> draw_sequences(int seqlen, std::mt19937& random) {
  std::vector<int32_t> ends{0, seqlen};
  for (int more = draw_int(0, 3, random); more > 0; --more) ends.push_back(draw_int(0, seqlen, random));
  std::sort(ends.begin(), ends.end());
  return ends;
}

ScanShape draw_everything(const KernelVariant& variant, int round, std::mt19937& random) {
  constexpr int kFewWarps = 4;  // many warps take long
  ScanShape shape;
  shape.warps = draw_int(variant.fewest_warps, std::max(variant.fewest_warps, kFewWarps), random);
  const int channels = shape.warps * variant.warp_channels;
  // 8 channels at a time make aligned rows in 'bld'.
  shape.group_channels = round % 3 == 0 ? 8 * draw_int(1, channels / 8 + 2, random) : draw_int(1, channels + 9, random);
  shape.groups = draw_int(1, 2, random);
  shape.seqlen = draw_int(1, 4 * variant.tile, random);
  shape.dstate = draw_bool(random) ? variant.capacity : draw_int(1, variant.capacity, random);
  if (variant.any_dstate) shape.dstate += draw_int(0, 2, random) * variant.capacity;
  if (round % 2 != 0) {
    shape.cu_seqlens = draw_sequences(shape.seqlen, random);
  } else {
    shape.batch = draw_int(1, 2, random);
    if (draw_bool(random)) shape.chunk_steps = draw_int(1, shape.seqlen, random);
  }
  shape.z = draw_bool(random);
  shape.D = draw_bool(random);
  shape.bias = draw_bool(random);
  shape.softplus = draw_bool(random);
  shape.initial_state = draw_bool(random);
  return shape;
}

ScanShape draw_fixed(const KernelVariant& variant, int round) {
  const int tile = variant.tile;
  ScanShape shape;
  shape.warps = round == 0 ? variant.most_warps : variant.fewest_warps;
  shape.dstate = variant.capacity;
  shape.group_channels = shape.warps * variant.warp_channels;
  set_all_options(shape);
  switch (round) {
    case 0:
      shape.seqlen = 4 * tile;
      break;
    case 1:
      shape.batch = 2;
      shape.group_channels += 3;
      shape.seqlen = 3 * tile + 5;
      shape.initial_state = false;
      break;
    case 2:
      shape.group_channels += 4;
      shape.seqlen = 4 * tile + 4;
      shape.cu_seqlens = {0, 0, tile, tile, tile + 7, 3 * tile + 1, 4 * tile + 4, 4 * tile + 4};
      shape.D = false;
      break;
    default:
      shape.seqlen = 4 * tile;
      shape.chunk_steps = tile + 8;
      shape.softplus = false;
      break;
  }
  return shape;
}

}  // namespace

ScanShape draw_shape(const KernelVariant& variant, int round, std::mt19937& random) {
  ScanShape shape = round > 3 ? draw_everything(variant, round, random) : draw_fixed(variant, round);
  if (variant.constant) {
    // B, C or both, in turn; neither too where they may both vary.
    const int constant = variant.varying ? round % 4 : round % 3 + 1;
    shape.constant_b = constant % 2 != 0;
    shape.constant_c = constant / 2 != 0;
  }
  return shape;
}

std::string ScanShape::describe() const {
  std::ostringstream text;
  text << "warps " << warps << ", batch " << batch << ", groups " << groups << " of " << group_channels
       << " channels, seqlen " << seqlen << ", dstate " << dstate;
  if (chunk_steps != 0) text << ", chunks of " << chunk_steps;
  if (!cu_seqlens.empty()) text << ", cu_seqlens";
  for (const int32_t end : cu_seqlens) text << ' ' << end;
  text << (constant_b ? ", constant B" : "") << (constant_c ? ", constant C" : "");
  text << (z ? ", z" : "") << (D ? ", D" : "") << (bias ? ", bias" : "") << (softplus ? ", softplus" : "")
       << (initial_state ? ", initial state" : "");
  return text.str();
}

Numbers::Numbers(size_t count, DType dtype, DeviceArray::Use use)
    : count_(count), dtype_(dtype), array_(std::make_unique<DeviceArray>(count * size_of(dtype), use)) {}

double Numbers::operator[](size_t i) const {
  if (dtype_ == DType::kFloat32) return static_cast<const float*>(data())[i];
  if (dtype_ == DType::kFloat16) return __half2float(static_cast<const __half*>(data())[i]);
  return __bfloat162float(static_cast<const __nv_bfloat16*>(data())[i]);
}

void Numbers::set(size_t i, float value) {
  if (dtype_ == DType::kFloat32) {
    static_cast<float*>(data())[i] = value;
  } else if (dtype_ == DType::kFloat16) {
    static_cast<__half*>(data())[i] = __float2half(value);
  } else {
    static_cast<__nv_bfloat16*>(data())[i] = __float2bfloat16(value);
  }
}

void Numbers::draw(float least, float most, std::mt19937& random) {
  std::uniform_real_distribution<float> numbers(least, most);
  for (size_t i = 0; i < count_; ++i) set(i, numbers(random));
}

ScanProblem::ScanProblem(const KernelVariant& variant, const ScanShape& problem_shape, std::mt19937& random)
    : shape(problem_shape),
      dtype(variant.dtype),
      layout(variant.layout),
      is_complex(variant.is_complex),
      u(static_cast<size_t>(shape.batch) * shape.dim() * shape.seqlen, dtype, kInput),
      delta(static_cast<size_t>(shape.batch) * shape.dim() * shape.seqlen, dtype, kInput),
      z(static_cast<size_t>(shape.batch) * shape.dim() * shape.seqlen, dtype, kInput),
      B(matrix_count(shape, shape.constant_b, is_complex), shape.constant_b ? DType::kFloat32 : dtype, kInput),
      C(matrix_count(shape, shape.constant_c, is_complex), shape.constant_c ? DType::kFloat32 : dtype, kInput),
      A(state_count(shape, shape.dim(), is_complex), DType::kFloat32, kInput),
      D(shape.dim(), DType::kFloat32, kInput),
      bias(shape.dim(), DType::kFloat32, kInput),
      initial(state_count(shape, static_cast<size_t>(shape.pieces()) * shape.dim(), is_complex), DType::kFloat32,
              kInput),
      out(static_cast<size_t>(shape.batch) * shape.dim() * shape.seqlen, dtype, kOutput),
      last(state_count(shape, static_cast<size_t>(shape.pieces()) * shape.dim(), is_complex), DType::kFloat32,
           kOutput) {
  u.draw(-1, 1, random);
  // Time steps are positive; softplus makes them so.
  if (shape.softplus) {
    delta.draw(-2, 1, random);
  } else {
    delta.draw(0.1f, 0.5f, random);
  }
  z.draw(-2, 2, random);
  B.draw(-1, 1, random);
  C.draw(-1, 1, random);
  A.draw(-2, -0.1f, random);  // where complex, the angular rate too
  D.draw(-1, 1, random);
  bias.draw(-0.1f, 0.3f, random);
  initial.draw(-1, 1, random);
}

selective_scan::ScanArgs ScanProblem::args() const {
  selective_scan::ScanArgs args;
  selective_scan::SelectiveScanParams& p = args.params;
  p.batch = shape.batch;
  p.dim = shape.dim();
  p.seqlen = shape.seqlen;
  p.dstate = shape.dstate;
  p.groups = shape.groups;
  p.dtype = dtype;
  p.layout = layout;
  p.is_complex = is_complex;
  p.varying_b = !shape.constant_b;
  p.varying_c = !shape.constant_c;
  p.delta_softplus = shape.softplus;
  p.u = u.data();
  p.delta = delta.data();
  p.A = A.data();
  p.B = B.data();
  p.C = C.data();
  p.D = shape.D ? static_cast<const float*>(D.data()) : nullptr;
  p.z = shape.z ? z.data() : nullptr;
  p.delta_bias = shape.bias ? static_cast<const float*>(bias.data()) : nullptr;
  p.initial_state = shape.initial_state ? initial.data() : nullptr;
  p.out = out.data();
  p.last_state = last.data();
  p.sequences = shape.pieces();
  args.cu_seqlens = shape.cu_seqlens.empty() ? nullptr : shape.cu_seqlens.data();
  args.parked = static_cast<float*>(last.data());
  args.chunks = shape.chunks();
  args.chunk_steps = shape.chunk_steps == 0 ? shape.seqlen : shape.chunk_steps;
  return args;
}

}  // namespace emulator
