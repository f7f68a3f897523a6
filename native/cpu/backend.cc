// The CPU backend's table. Memory is the process's own and ops have run when their call returns, so that queues and
// marks have nothing to hold.
#include <cstring>
#include <string>

#include "../ops.h"
#include "causal_conv1d.h"
#include "causal_conv1d_update.h"
#include "cpu_info.h"
#include "embedding.h"
#include "linear.h"
#include "mamba_layer_step.h"
#include "memory.h"
#include "rms_norm.h"
#include "sample.h"
#include "selective_scan.h"
#include "selective_state_update.h"
#include "softmax.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

Status check_device(int device) {
  if (device == 0) return {};
  return {Code::kDevice, "Expected the index of a CPU device to be 0 but received " + std::to_string(device) + "."};
}

Status count(int* devices) {
  *devices = 1;
  return {};
}

Status describe(int device, DeviceInfo* info) {
  const Status checked = check_device(device);
  if (!checked.ok()) return checked;
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  info->name = cpu_name();
  info->vector_set = vector_set_name(set);
  info->threads = cpu_threads();
  return {};
}

Status open(int device, void** queue) {
  static char the_queue;
  *queue = &the_queue;
  return check_device(device);
}

void close(void*) {}

Status allocate(void*, size_t bytes, void** memory) {
  *memory = allocate_aligned(bytes);
  if (*memory) return {};
  return {Code::kOutOfMemory, "Could not allocate " + std::to_string(bytes) + " bytes of memory on cpu."};
}

void release(void*, void* memory) { free_aligned(memory); }

Status copy(void*, void* target, const void* source, size_t bytes) {
  if (bytes > 0) std::memcpy(target, source, bytes);
  return {};
}

Status mark(void*, void** mark) {
  *mark = nullptr;
  return {};
}

Status wait(void*, void*) { return {}; }

Status allocate_pinned(int, size_t bytes, void** memory) { return allocate(nullptr, bytes, memory); }

Status enqueue_upload(void*, void* target, const void* source, const HostRows& rows) {
  for (size_t i = 0; i < rows.count; ++i) {
    std::memcpy(static_cast<char*>(target) + i * rows.bytes, static_cast<const char*>(source) + i * rows.stride,
                rows.bytes);
  }
  return {};
}

Status enqueue_download(void*, void* target, const void* source, const HostRows& rows) {
  for (size_t i = 0; i < rows.count; ++i) {
    std::memcpy(static_cast<char*>(target) + i * rows.stride, static_cast<const char*>(source) + i * rows.bytes,
                rows.bytes);
  }
  return {};
}

}  // namespace

const Backend& cpu_backend() {
  static constexpr Backend backend = {
      count,
      describe,
      open,
      close,
      allocate,
      release,
      /*upload=*/copy,
      /*download=*/copy,
      /*copy=*/copy,
      mark,
      wait,
      /*order_after=*/nullptr,
      /*unmark=*/nullptr,
      /*release_after=*/nullptr,
      /*begin_capture=*/nullptr,
      /*begin_call=*/nullptr,
      /*end_call=*/nullptr,
      /*end_capture=*/nullptr,
      /*replay=*/nullptr,
      /*drop_graph=*/nullptr,
      /*memory_use=*/nullptr,
      /*empty_cache=*/nullptr,
      /*has_cublas_lt=*/nullptr,
      allocate_pinned,
      /*release_pinned=*/free_aligned,
      enqueue_upload,
      enqueue_download,
      /*follow=*/wait,
      /*measure_roofs=*/nullptr,
      cpu_selective_scan,
      cpu_selective_state_update,
      cpu_causal_conv1d,
      cpu_causal_conv1d_update,
      cpu_embedding,
      cpu_linear,
      cpu_mamba_layer_step,
      cpu_rms_norm,
      cpu_sample,
      cpu_softmax,
      cpu_describe_scan,
  };
  return backend;
}

}  // namespace selective_scan
