// The op, as the ops that it is made of: its products and the states' step are theirs. Between them all is
// float32. Once begun it is finished, so that no state is left half updated.
#include "mamba_layer_step.h"

#include <cmath>
#include <cstring>

#include "linear.h"
#include "mamba_layer_step_rows.h"
#include "memory.h"
#include "selective_state_update.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

size_t float_size(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

char* offset(void* data, int64_t elements, DType dtype) {
  return static_cast<char*>(data) + static_cast<size_t>(elements) * float_size(dtype);
}

// Scales a row to a mean square of 1, but for what eps damps.
void normalize(float* row, int64_t count, float eps) {
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) squares += static_cast<double>(row[i]) * row[i];
  const auto scale = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(count) + eps));
  for (int64_t i = 0; i < count; ++i) row[i] *= scale;
}

class LayerStep {
 public:
  LayerStep(const MambaLayerStepParams& params, const LayerStepRows& rows) : p_(params), rows_(rows) {}

  Status run() {
    if (!allocate()) return {Code::kOutOfMemory, "Could not allocate scratch memory on cpu."};
    Status status = project_in();
    if (!status.ok()) return status;
    for (int64_t row = 0; row < p_.batch; ++row) convolve(row);
    status = select();
    if (status.ok()) status = update_states();
    if (status.ok()) status = project_out();
    return status;
  }

 private:
  int64_t slot_of(int64_t row) const { return p_.host_slots ? p_.host_slots[row] : row; }

  bool allocate() {
    // Each array at its own place in one piece of memory.
    int64_t floats = 0;
    const auto place = [&](int64_t count) {
      const int64_t at = floats;
      floats += (count + 15) / 16 * 16;
      return at;
    };
    const int64_t normal = place(p_.batch * p_.hidden);
    const int64_t u = place(p_.batch * p_.dim), z = place(p_.batch * p_.dim);
    const int64_t delta = place(p_.batch * p_.dim), y = place(p_.batch * p_.dim);
    const int64_t dt = place(p_.batch * p_.dt_rank), B = place(p_.batch * p_.dstate), C = place(p_.batch * p_.dstate);
    const int64_t norm_weight = place(p_.hidden), conv_weight = place(p_.dim * p_.width), conv_bias = place(p_.dim);
    const int64_t conv_state = place(p_.dim * (p_.width - 1));
    scratch_ = allocate_floats(static_cast<size_t>(floats));
    if (!scratch_) return false;
    float* const begin = scratch_.get();
    normal_ = begin + normal;
    u_ = begin + u;
    z_ = begin + z;
    delta_ = begin + delta;
    y_ = begin + y;
    dt_ = begin + dt;
    B_ = begin + B;
    C_ = begin + C;
    norm_weight_ = begin + norm_weight;
    conv_weight_ = begin + conv_weight;
    conv_bias_ = begin + conv_bias;
    conv_state_ = begin + conv_state;
    rows_.widen(p_.norm_weight.data, p_.norm_weight.dtype, p_.hidden, norm_weight_);
    rows_.widen(p_.conv_weight.data, p_.conv_weight.dtype, p_.dim * p_.width, conv_weight_);
    if (p_.conv_bias.data != nullptr) {
      rows_.widen(p_.conv_bias.data, p_.conv_bias.dtype, p_.dim, conv_bias_);
    } else {
      std::memset(conv_bias_, 0, static_cast<size_t>(p_.dim) * sizeof(float));
    }
    return true;
  }

  // A product of float32 rows with a matrix of the call's dtype; its outputs are float32 until said otherwise.
  LinearParams product(const float* x, int64_t in_features, const void* weight, int64_t out_features) const {
    LinearParams params;
    params.rows = p_.batch;
    params.in_features = in_features;
    params.out_features = out_features;
    params.weight_dtype = p_.dtype;
    params.x = x;
    params.weight = weight;
    params.sizes[0] = out_features;
    return params;
  }

  Status project_in() {
    rows_.widen(p_.input, p_.dtype, p_.batch * p_.hidden, normal_);
    for (int64_t row = 0; row < p_.batch; ++row) {
      float* const residual = p_.residual + row * p_.hidden;
      float* const normal = normal_ + row * p_.hidden;
      for (int64_t i = 0; i < p_.hidden; ++i) normal[i] = residual[i] += normal[i];
      normalize(normal, p_.hidden, p_.eps);
      for (int64_t i = 0; i < p_.hidden; ++i) normal[i] *= norm_weight_[i];
    }
    LinearParams params = product(normal_, p_.hidden, p_.in_proj, 2 * p_.dim);
    params.bias = p_.in_bias.data;
    params.bias_dtype = p_.in_bias.dtype;
    params.outputs = 2;
    params.sizes[0] = params.sizes[1] = p_.dim;
    params.out[0] = u_;
    params.out[1] = z_;
    return cpu_linear(uncancelled_, params);
  }

  // Of a row without a slot nothing is asked.
  void convolve(int64_t row) {
    const int64_t slot = slot_of(row);
    if (slot < 0) return;
    const int64_t taps = p_.width - 1;
    void* const state = offset(p_.conv_state, slot * p_.dim * taps, p_.conv_state_dtype);
    float* const u = u_ + row * p_.dim;
    rows_.widen(state, p_.conv_state_dtype, p_.dim * taps, conv_state_);
    for (int64_t d = 0; d < p_.dim; ++d) {
      float* const past = conv_state_ + d * taps;
      const float* const weight = conv_weight_ + d * p_.width;
      const float x = u[d];
      float sum = conv_bias_[d];
      for (int64_t k = 0; k < taps; ++k) sum += weight[k] * past[k];
      for (int64_t k = 0; k + 1 < taps; ++k) past[k] = past[k + 1];
      past[taps - 1] = x;
      u[d] = sum + weight[taps] * x;
    }
    rows_.silu(u, p_.dim);
    rows_.narrow(conv_state_, p_.conv_state_dtype, p_.dim * taps, state);
  }

  // dt, B and C of u, and delta of dt.
  Status select() {
    LinearParams params = product(u_, p_.dim, p_.x_proj, p_.dt_rank + 2 * p_.dstate);
    params.outputs = 3;
    params.sizes[0] = p_.dt_rank;
    params.sizes[1] = params.sizes[2] = p_.dstate;
    params.out[0] = dt_;
    params.out[1] = B_;
    params.out[2] = C_;
    const Status status = cpu_linear(uncancelled_, params);
    if (!status.ok()) return status;
    for (int64_t row = 0; p_.mixer_norm && row < p_.batch; ++row) {
      normalize(dt_ + row * p_.dt_rank, p_.dt_rank, p_.mixer_norm_eps);
      normalize(B_ + row * p_.dstate, p_.dstate, p_.mixer_norm_eps);
      normalize(C_ + row * p_.dstate, p_.dstate, p_.mixer_norm_eps);
    }
    params = product(dt_, p_.dt_rank, p_.dt_proj, p_.dim);
    params.out[0] = delta_;
    return cpu_linear(uncancelled_, params);
  }

  Status update_states() {
    SelectiveStateUpdateParams params;
    params.batch = p_.batch;
    params.dim = p_.dim;
    params.dstate = p_.dstate;
    params.slots = p_.slots;
    params.state_dtype = p_.ssm_state_dtype;
    params.delta_softplus = true;
    params.state = p_.ssm_state;
    params.u = u_;
    params.delta = delta_;
    params.A = p_.A;
    params.B = B_;
    params.C = C_;
    params.D = p_.D;
    params.z = z_;
    params.delta_bias = p_.dt_bias;
    params.out = y_;
    params.host_slots = p_.host_slots;
    return cpu_selective_state_update(uncancelled_, params);
  }

  Status project_out() {
    LinearParams params = product(y_, p_.dim, p_.out_proj, p_.hidden);
    params.bias = p_.out_bias.data;
    params.bias_dtype = p_.out_bias.dtype;
    params.out_dtype = p_.dtype;
    params.out[0] = p_.out;
    const Status status = cpu_linear(uncancelled_, params);
    if (!status.ok()) return status;
    for (int64_t row = 0; row < p_.batch; ++row) {
      if (slot_of(row) >= 0) continue;
      std::memset(offset(p_.out, row * p_.hidden, p_.dtype), 0, static_cast<size_t>(p_.hidden) * float_size(p_.dtype));
    }
    return {};
  }

  const MambaLayerStepParams& p_;
  const LayerStepRows& rows_;
  const Call uncancelled_;
  AlignedFloats scratch_;
  float* normal_ = nullptr;  // [batch, hidden], the normalised residual
  float* u_ = nullptr;       // [batch, dim], x before the convolution
  float* z_ = nullptr;
  float* delta_ = nullptr;
  float* y_ = nullptr;
  float* dt_ = nullptr;  // [batch, dt_rank]
  float* B_ = nullptr;   // [batch, dstate]
  float* C_ = nullptr;
  float* norm_weight_ = nullptr;
  float* conv_weight_ = nullptr;
  float* conv_bias_ = nullptr;
  float* conv_state_ = nullptr;  // of one row
};

}  // namespace

Status cpu_mamba_layer_step(const Call&, const MambaLayerStepParams& params) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  return LayerStep(params, SELECTIVE_SCAN_KERNEL(mamba_layer_step, set)).run();
}

}  // namespace selective_scan
