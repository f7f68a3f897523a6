export {
  type CpuDevice,
  type CudaDevice,
  devices,
  measureRoofs,
  type Roofs,
  synchronize,
  synchronizeSync,
} from './device.js';
export { type DeviceHandle, device, type MemoryUse } from './device-handle.js';
export type { DType } from './dtype.js';
export { type ErrorCode, SelectiveScanError } from './errors.js';
export type { Graph } from './graph.js';
export type { FloatArray, HostArray } from './host-array.js';
export {
  type CausalConv1dOptions,
  type CausalConv1dResult,
  causalConv1d,
  causalConv1dSync,
} from './ops/causal-conv1d.js';
export {
  type CausalConv1dUpdateOptions,
  type CausalConv1dUpdateResult,
  causalConv1dUpdate,
  causalConv1dUpdateSync,
} from './ops/causal-conv1d-update.js';
export { type EmbeddingOptions, type EmbeddingResult, embedding, embeddingSync } from './ops/embedding.js';
export type { Layout } from './ops/layout.js';
export {
  type LinearOptions,
  type LinearResult,
  linear,
  linearSync,
  type SplitLinearResult,
} from './ops/linear.js';
export { logSoftmax, logSoftmaxSync } from './ops/log-softmax.js';
export {
  type MambaLayerStepOptions,
  type MambaLayerStepResult,
  mambaLayerStep,
  mambaLayerStepSync,
} from './ops/mamba-layer-step.js';
export type { Progress } from './ops/progress.js';
export { type RmsNormOptions, type RmsNormResult, rmsNorm, rmsNormSync } from './ops/rms-norm.js';
export { type SampleOptions, type SampleResult, type SampleRule, sample, sampleSync } from './ops/sample.js';
export { type ScanKernelOptions, scanKernel } from './ops/scan-kernel.js';
export {
  type SelectiveScanDims,
  type SelectiveScanOptions,
  type SelectiveScanResult,
  selectiveScan,
  selectiveScanSync,
} from './ops/selective-scan.js';
export {
  type SelectiveStateUpdateOptions,
  type SelectiveStateUpdateResult,
  selectiveStateUpdate,
  selectiveStateUpdateSync,
} from './ops/selective-state-update.js';
export { type SoftmaxOptions, type SoftmaxResult, softmax, softmaxSync } from './ops/softmax.js';
export { allocPinned } from './pinned.js';
export type { Queue, QueueEvent } from './queue.js';
export type { WaitOptions } from './signal.js';
export { Stream } from './stream.js';
export { Tensor, type TransferOptions } from './tensor.js';
