#include "host_integers.h"

#include "arguments.h"
#include "errors.h"

namespace selective_scan {

std::vector<int32_t> cu_seqlens_of(const Napi::Value& value, int64_t batch, int64_t seqlen, int64_t sequences) {
  const Napi::Env env = value.Env();
  std::vector<int32_t> starts = int32s_of(value);
  if (value.IsUndefined()) {
    if (sequences != batch) throw to_error(env, {Code::kShape, "Expected one sequence a batch entry."});
    return starts;
  }
  bool is_right = batch == 1 && starts.size() >= 2 && static_cast<int64_t>(starts.size()) == sequences + 1 &&
                  starts.front() == 0 && starts.back() == seqlen;
  for (size_t i = 1; is_right && i < starts.size(); ++i) is_right = starts[i - 1] <= starts[i];
  if (!is_right) throw to_error(env, {Code::kShape, "Expected cuSeqlens to rise from 0 to seqlen, in a batch of 1."});
  return starts;
}

std::vector<int32_t> slots_of(const Napi::Value& value, const Napi::Value& device_slots, bool is_on_cpu, int64_t batch,
                              int64_t slots) {
  const Napi::Env env = value.Env();
  if (!device_slots.IsUndefined()) {
    if (is_on_cpu) throw to_error(env, {Code::kDevice, "Expected slots on the host."});
    return {};
  }
  if (value.IsUndefined()) {
    if (slots != batch) throw to_error(env, {Code::kShape, "Expected one slot a batch row."});
    return {};
  }
  std::vector<int32_t> found = int32s_of(value);
  bool is_right = static_cast<int64_t>(found.size()) == batch;
  for (const int32_t slot : found) is_right = is_right && slot >= -1 && slot < slots;
  if (!is_right) throw to_error(env, {Code::kShape, "Expected a slot of the state, or -1, for each batch row."});
  return found;
}

std::vector<int32_t> ids_of(const Napi::Value& value, const Napi::Value& device_ids, int64_t rows, int64_t vocab) {
  if (!device_ids.IsUndefined()) return {};
  std::vector<int32_t> ids = int32s_of(value);
  bool is_right = static_cast<int64_t>(ids.size()) == rows;
  for (const int32_t id : ids) is_right = is_right && id >= 0 && id < vocab;
  if (!is_right) throw to_error(value.Env(), {Code::kShape, "Expected an id of the vocabulary for each row."});
  return ids;
}

}  // namespace selective_scan
