// Integers of a call that the host reads, held to what they count.
#pragma once

#include <napi.h>

#include <cstdint>
#include <vector>

namespace selective_scan {

// The starts of packed sequences; none where the batch is not packed, and then there is a sequence for each entry.
std::vector<int32_t> cu_seqlens_of(const Napi::Value& value, int64_t batch, int64_t seqlen, int64_t sequences);

// The slot of each row, -1 or one of the `slots` that there are. None where they are said on the device instead, or are
// the rows themselves.
std::vector<int32_t> slots_of(const Napi::Value& value, const Napi::Value& device_slots, bool is_on_cpu, int64_t batch,
                              int64_t slots);

// A number from 0 to vocab - 1 for each row. None where they are said in the device's memory instead.
std::vector<int32_t> ids_of(const Napi::Value& value, const Napi::Value& device_ids, int64_t rows, int64_t vocab);

}  // namespace selective_scan
