// Pinned memory of small calls, kept for the next ones: page-locking takes longer than such a call.
#pragma once

#include "pinned_memory.h"

namespace selective_scan {

// At least so many bytes, which come back when the last holder lets go.
Status take_pinned_block(const Backend& backend, int index, size_t bytes, std::shared_ptr<PinnedMemory>* block);

// Frees what is kept for that backend.
void empty_pinned_blocks(const Backend& backend);

}  // namespace selective_scan
