#include "sample.h"

#include <array>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "tensor_op.h"

namespace selective_scan {

namespace {

// The last arguments are the arrays, in the order of src/ops/sample.ts.
constexpr size_t kFirstArray = 5;
enum Array { kLogits, kSeen, kRandom, kTokens, kLogprobs };

// sizes: [batch, vocab, dtype, topK]; numbers: [temperature, topP, minP, repetitionPenalty]
SampleParams read_params(const Napi::Env& env, const Napi::CallbackInfo& info) {
  const std::array<int64_t, 4> sizes = sizes_of<4>(info[2]);
  const std::array<double, 4> numbers = numbers_of<4>(info[3]);
  SampleParams params;
  params.batch = sizes[0];
  params.vocab = sizes[1];
  params.dtype = static_cast<DType>(sizes[2]);
  params.top_k = sizes[3];
  params.temperature = numbers[0];
  params.top_p = numbers[1];
  params.min_p = numbers[2];
  params.repetition_penalty = static_cast<float>(numbers[3]);
  const auto is_share = [](double number) { return number >= 0 && number <= 1; };
  if (params.vocab < 1 || params.vocab > kMostVocab || !(params.temperature >= 0) || !is_share(params.top_p) ||
      !is_share(params.min_p) || !(params.repetition_penalty > 0)) {
    throw to_error(env, {Code::kShape, "Expected a vocab and options within their limits."});
  }
  return params;
}

std::vector<ArraySpec> array_specs(Napi::Env env, const SampleParams& p) {
  const size_t numbers = product(env, {p.batch, 4});
  const bool draws = p.temperature > 0;
  return {
      {"logits", product(env, {p.batch, p.vocab, float_size(env, p.dtype)}), true, false},
      {"seen", product(env, {p.batch, p.vocab, 4}), p.repetition_penalty != 1, true},
      {"random", product(env, {p.batch, 3, 4}), draws, true},
      {"tokens", numbers, true, true},
      {"logprobs", numbers, false, true},
  };
}

SampleParams with_addresses(SampleParams params, const std::vector<void*>& at) {
  params.logits = at[kLogits];
  params.seen = static_cast<int32_t*>(at[kSeen]);
  params.random = static_cast<int32_t*>(at[kRandom]);
  params.tokens = static_cast<int32_t*>(at[kTokens]);
  params.logprobs = static_cast<float*>(at[kLogprobs]);
  return params;
}

}  // namespace

Napi::Value sample(const Napi::CallbackInfo& info) {
  const SampleParams params = read_params(info.Env(), info);
  const TensorOp<SampleParams> op = {&Backend::sample, "sample"};
  return run_on_tensors(info, op, params.batch > 0, array_specs(info.Env(), params), kFirstArray, info[4],
                        [params](const std::vector<void*>& at) { return with_addresses(params, at); });
}

}  // namespace selective_scan
