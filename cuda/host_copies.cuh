// Page-locked memory of the host, and copies between it and a device that nobody waits for.
#pragma once

#include "../native/ops.h"

namespace selective_scan {

Status allocate_pinned(int device, size_t bytes, void** memory);
void release_pinned(void* memory);
Status enqueue_upload(void* queue, void* target, const void* source, const HostRows& rows);
Status enqueue_download(void* queue, void* target, const void* source, const HostRows& rows);
Status follow(void* queue, void* mark);

}  // namespace selective_scan
