import { readyDevice } from '../device.js';
import { Backbone } from './backbone.js';
import type { Checkpoint } from './checkpoint.js';
import type { FloatDType } from './float-conversion.js';
import type { LoadOptions } from './load-options.js';
import { loadWeights, type WeightSource } from './model-weights.js';

/** Loads all weights of a checkpoint; by default its matrices keep their dtype. */
export function loadBackbone(checkpoint: Checkpoint, options: LoadOptions): Promise<Backbone> {
  return buildBackbone(checkpoint, checkpoint.bytes, storedDType(checkpoint), options);
}

/** `total` are the source's bytes, for reports of progress. */
export async function buildBackbone(
  source: WeightSource,
  total: number,
  stored: FloatDType,
  { device, dtype = stored, signal, onProgress }: LoadOptions,
): Promise<Backbone> {
  const { name } = await readyDevice(device);
  let done = 0;
  const onRead = (bytes: number) => {
    done += bytes;
    onProgress?.({ done, total });
  };
  const weights = await loadWeights(source, { device: name, dtype, signal, onRead });
  return new Backbone(source.config, weights, name, name === 'cpu' ? 'float32' : dtype);
}

/** The dtype of a stored model's matrices. */
function storedDType({ tensors }: Checkpoint): FloatDType {
  const { dtype } = tensors.get('embeddings.weight') ?? {};
  return dtype === 'BF16' ? 'bfloat16' : dtype === 'F16' ? 'float16' : 'float32';
}
