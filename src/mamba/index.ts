export { Checkpoint } from './checkpoint.js';
export { type MambaConfig, parseMambaConfig } from './config.js';
export type { FloatDType } from './float-conversion.js';
export type { LoadAllOptions, LoadOptions, Progress } from './load-options.js';
export { SafetensorsFile } from './safetensors.js';
export type { StoredDType, StoredTensor } from './safetensors-header.js';
