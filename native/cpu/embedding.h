#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_embedding(const Call& call, const EmbeddingParams& params);

}  // namespace selective_scan
