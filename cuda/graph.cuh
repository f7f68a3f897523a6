// Calls recorded as a CUDA graph, to be enqueued all at once as often as is wanted.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status begin_capture(void* queue);
Status begin_call(void* queue, const size_t* needs, size_t count);
Status end_call(void* queue);
Status end_capture(void* queue, void** graph);
Status replay(void* queue, void* graph);
void drop_graph(void* queue, void* graph);

}  // namespace selective_scan
