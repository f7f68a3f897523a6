// The border between the runtime and its backends: plain structs, one parameter struct an op, one table of functions a
// backend. A backend never allocates a result, throws across this border, exits the process or synchronises unasked.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace selective_scan {

enum class DType : int32_t { kFloat32 = 0, kFloat16 = 1, kBFloat16 = 2, kComplex64 = 3, kInt32 = 4 };

// 'bdl' is [batch, dim, seqlen], 'bld' is [batch, seqlen, dim].
enum class Layout : int32_t { kBDL = 0, kBLD = 1 };

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

// Selective scan (Gu and Dao 2023, algorithm 2; the semantics of mamba_ssm's selective_scan_ref). For each batch b,
// channel d, time t and state n:
//   dt = delta + delta_bias[d], then softplus(dt) if delta_softplus (the identity above 20)
//   h[n] = exp(dt * A[d,n]) * h[n] + dt * u * B[n]
//   y = sum_n C[n] * h[n]      (twice the real part where A is complex)
//   out = (y + D[d] * u) * silu(z)
// All arrays are contiguous, in the memory of the queue's device, and any optional one may be null.
struct SelectiveScanParams {
  int64_t batch = 0;   // >= 0
  int64_t dim = 0;     // >= 1
  int64_t seqlen = 0;  // >= 1
  int64_t dstate = 0;  // >= 1
  int64_t groups = 1;  // divides dim; channel d is of group d / (dim / groups)

  DType dtype = DType::kFloat32;  // of u, delta, z, out and varying B and C: float32, float16 or bfloat16
  Layout layout = Layout::kBDL;
  bool is_complex = false;  // A, constant B and C and the states are complex64, interleaved; else float32
  bool varying_b = true;    // B varies with time; else it is [dim, dstate]
  bool varying_c = true;
  bool delta_softplus = false;
  // A sequence's result is then the same bits whatever else is in the call: how it is computed depends on neither batch
  // nor seqlen nor sequences.
  bool batch_invariant = false;

  const void* u = nullptr;      // 'bdl' [batch, dim, seqlen], 'bld' [batch, seqlen, dim]
  const void* delta = nullptr;  // as u
  const void* A = nullptr;      // [dim, dstate]
  // Varying: 'bdl' [batch, groups, dstate, seqlen], 'bld' [batch, seqlen, groups, dstate]; complex: pairs of reals
  // adjacent in the last axis, which is then twice as long. Constant: [dim, dstate].
  const void* B = nullptr;
  const void* C = nullptr;
  const float* D = nullptr;             // [dim]
  const void* z = nullptr;              // as u
  const float* delta_bias = nullptr;    // [dim]
  const void* initial_state = nullptr;  // [sequences, dim, dstate], float32 or complex64
  void* out = nullptr;                  // as u
  void* last_state = nullptr;           // [sequences, dim, dstate], float32 or complex64

  // Packed sequences: batch is 1 and sequence s covers times cu_seqlens[s] to cu_seqlens[s + 1]. HOST memory, read
  // before the call returns, [sequences + 1], from 0 to seqlen and never falling; a sequence may be empty (its last
  // state is then its initial one). Null: one sequence a batch entry, sequences == batch.
  const int32_t* cu_seqlens = nullptr;
  int64_t sequences = 0;
};

// The scan one token, or a few, at a time, from and into states that are updated in place (the semantics of mamba_ssm's
// selective_state_update). For each row b, token t, channel d and state n, with h the state in the row's slot:
//   dt = delta + delta_bias[d], then softplus(dt) if delta_softplus (the identity above 20)
//   h[n] = exp(dt * A[d,n]) * h[n] + dt * u * B[n]
//   out = (sum_n C[n] * h[n] + D[d] * u) * silu(z)
// A row's result is the same bits whatever else is in the call.
// h is float32, and rounded to the state's type when it is stored: in `state` after the last token, in `states` after
// each. All arrays are contiguous, in the memory of the queue's device, and any optional one may be null.
struct SelectiveStateUpdateParams {
  int64_t batch = 0;   // >= 0
  int64_t tokens = 1;  // >= 1
  int64_t dim = 0;     // >= 1
  int64_t dstate = 0;  // >= 1
  int64_t groups = 1;  // divides dim; channel d is of group d / (dim / groups)
  int64_t slots = 0;   // states that there are; equal to batch if no slot is named

  DType dtype = DType::kFloat32;        // of u, delta, z, B, C and out: float32, float16 or bfloat16
  DType state_dtype = DType::kFloat32;  // of state and states: any of the same
  bool delta_softplus = false;

  void* state = nullptr;              // [slots, dim, dstate], read and written
  const void* u = nullptr;            // [batch, tokens, dim]
  const void* delta = nullptr;        // as u
  const float* A = nullptr;           // [dim, dstate]
  const void* B = nullptr;            // [batch, tokens, groups, dstate]
  const void* C = nullptr;            // as B
  const float* D = nullptr;           // [dim]
  const void* z = nullptr;            // as u
  const float* delta_bias = nullptr;  // [dim]
  void* out = nullptr;                // as u
  void* states = nullptr;             // [batch, tokens, dim, dstate]

  // The slot of each row, [batch]; without either row b has slot b. A row whose slot is -1 is left out: its out and
  // states are 0. In HOST memory the slots are read before the call returns, each of them -1 or a slot that there is.
  // In the device's memory (of a GPU only) nobody has looked: a row of any other slot gets NaN in out and states, and
  // nothing else happens. Slots other than -1 have to be different from each other.
  const int32_t* host_slots = nullptr;
  const int32_t* device_slots = nullptr;
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

  // For people: which kernel selective_scan would run and how the work is cut, in a few words. A function of the sizes,
  // of cu_seqlens and of which arrays there are; it reads none and needs no device.
  Status (*describe_scan)(const SelectiveScanParams& params, std::string* words);
};

const Backend& cpu_backend();
#ifdef SELECTIVE_SCAN_CUDA
const Backend& cuda_backend();
#endif

}  // namespace selective_scan
