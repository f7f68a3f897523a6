// The border between the runtime and its backends: plain structs, one parameter struct an op (native/ops/), one table
// of functions a backend. A backend never allocates a result, throws across this border, exits the process or
// synchronises unasked.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ops/causal_conv1d.h"
#include "ops/causal_conv1d_update.h"
#include "ops/dtype.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/mamba_layer_step.h"
#include "ops/rms_norm.h"
#include "ops/sample.h"
#include "ops/selective_scan.h"
#include "ops/selective_state_update.h"
#include "ops/softmax.h"

namespace selective_scan {

enum class Code : int32_t {
  kOk,
  kShape,
  kDevice,
  kUnsupported,
  kOutOfMemory,
  kDeviceLost,
  kAborted,
};

struct Status {
  Code code = Code::kOk;
  std::string message;

  bool ok() const { return code == Code::kOk; }
};

// What a backend says of one device. Fields that do not apply keep their defaults.
struct DeviceInfo {
  std::string name;
  std::string vector_set;     // CPU: "avx512", "avx2", "neon" or "portable"
  int threads = 0;            // CPU: threads an op may use
  uint64_t memory_bytes = 0;  // GPU: total device memory
  int compute_major = 0;      // GPU: compute capability
  int compute_minor = 0;
  std::string driver;  // GPU: the CUDA version the driver supports, "13.0"
};

// What the process holds of a device's memory through this package, by all its queues, in bytes.
struct MemoryUse {
  uint64_t used = 0;    // handed out
  uint64_t cached = 0;  // kept for later calls
  uint64_t peak = 0;    // the most that was ever handed out
};

// Ceilings measured by micro-kernels, in units a second; 0 where not measured.
struct Roofs {
  double bytes_per_second = 0;         // device-to-device copy, read + written
  double exponentials_per_second = 0;  // float32 base-2 exponentials on the special-function unit
};

// One call's surroundings: the queue it runs in, a flag that asks a long CPU op to stop early with kAborted, and a
// count that it raises by the elements of its main output as they are done.
struct Call {
  void* queue = nullptr;
  const std::atomic<bool>* cancelled = nullptr;  // may be null
  std::atomic<int64_t>* done = nullptr;          // may be null
};

// Rows of bytes that lie `stride` apart in host memory and one after the other on the device.
struct HostRows {
  size_t bytes = 0;  // of one
  size_t count = 1;
  size_t stride = 0;
};

// A backend serves devices of one kind. Every function may be called from any thread, also at the same time as others
// on the same queue. A null op is unsupported, and that is the only statement of support.
struct Backend {
  // How many devices there are. None: the status says why in one sentence.
  Status (*count)(int* devices);
  Status (*describe)(int device, DeviceInfo* info);

  // A queue runs what is put into it in order. On a CPU ops have run when the call returns; on a GPU they are enqueued.
  Status (*open)(int device, void** queue);
  void (*close)(void* queue);

  // Memory is 256-byte aligned; release is ordered after everything enqueued before it.
  Status (*allocate)(void* queue, size_t bytes, void** memory);
  void (*release)(void* queue, void* memory);
  // Host to device: returns when `source` may be reused. Device to host: returns when `target` is complete.
  Status (*upload)(void* queue, void* target, const void* source, size_t bytes);
  Status (*download)(void* queue, void* target, const void* source, size_t bytes);
  // Within the device, in order with the queue's other work; a GPU only enqueues it.
  Status (*copy)(void* queue, void* target, const void* source, size_t bytes);

  // A mark is a point in the queue; wait returns when everything before it is done, and frees the mark.
  Status (*mark)(void* queue, void** mark);
  Status (*wait)(void* queue, void* mark);

  // Of several queues of a device. Null on a CPU, whose ops have run when the call returns.
  // What is enqueued from now on runs after another queue's mark, which stays; unmark frees it.
  Status (*order_after)(void* queue, void* mark);
  void (*unmark)(void* queue, void* mark);
  // As release, of memory that other queues have used, up to these marks of theirs. Frees the marks.
  void (*release_after)(void* queue, void* memory, void* const* marks, size_t count);

  // Between begin_capture and end_capture ops and copies within the device are recorded instead of enqueued, and memory
  // that is released belongs to the graph. A replay enqueues them all, with the addresses that they were recorded with.
  // Each is recorded between begin_call and end_call, and runs after those calls before it, by their numbers from 0,
  // that it is said to need; after others it need not. Null on a CPU.
  Status (*begin_capture)(void* queue);
  Status (*begin_call)(void* queue, const size_t* needs, size_t count);
  Status (*end_call)(void* queue);
  Status (*end_capture)(void* queue, void** graph);
  Status (*replay)(void* queue, void* graph);
  void (*drop_graph)(void* queue, void* graph);

  // Of a device on which there is at least one queue. Null where memory is not kept.
  Status (*memory_use)(int device, MemoryUse* use);
  Status (*empty_cache)(int device);

  // Whether large products may use cuBLASLt, which is looked for when it is first wanted or asked for. Null: there is
  // no use for it.
  bool (*has_cublas_lt)();

  // Host memory that a device reads and writes by itself, at the speed of the link. On a CPU it is ordinary memory.
  Status (*allocate_pinned)(int device, size_t bytes, void** memory);
  void (*release_pinned)(void* memory);
  // Copies between pinned memory and the device that are only enqueued, in order with the queue's other work.
  Status (*enqueue_upload)(void* queue, void* target, const void* source, const HostRows& rows);
  Status (*enqueue_download)(void* queue, void* target, const void* source, const HostRows& rows);
  // What the queue is given from now on runs after the mark, which is of any queue of the same device, and is freed.
  Status (*follow)(void* queue, void* mark);

  Status (*measure_roofs)(void* queue, Roofs* roofs);

  // The ops, one line each.
  Status (*selective_scan)(const Call& call, const SelectiveScanParams& params);
  Status (*selective_state_update)(const Call& call, const SelectiveStateUpdateParams& params);
  Status (*causal_conv1d)(const Call& call, const CausalConv1dParams& params);
  Status (*causal_conv1d_update)(const Call& call, const CausalConv1dUpdateParams& params);
  Status (*embedding)(const Call& call, const EmbeddingParams& params);
  Status (*linear)(const Call& call, const LinearParams& params);
  Status (*mamba_layer_step)(const Call& call, const MambaLayerStepParams& params);
  Status (*rms_norm)(const Call& call, const RmsNormParams& params);
  Status (*sample)(const Call& call, const SampleParams& params);
  Status (*softmax)(const Call& call, const SoftmaxParams& params);

  // For people: which kernel selective_scan would run and how the work is cut, in a few words. A function of the sizes,
  // of cu_seqlens and of which arrays there are; it reads none and needs no device.
  Status (*describe_scan)(const SelectiveScanParams& params, std::string* words);
};

const Backend& cpu_backend();
#ifdef SELECTIVE_SCAN_CUDA
const Backend& cuda_backend();
#endif

}  // namespace selective_scan
