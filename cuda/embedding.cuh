#pragma once

#include "../native/ops.h"

namespace selective_scan {

// The op of the backend's table.
Status embedding(const Call& call, const EmbeddingParams& params);

}  // namespace selective_scan
