import { checkpointError, listNames } from './checkpoint-error.js';
import type { MambaConfig } from './config.js';
import { loadable, type StoredTensor } from './safetensors-header.js';

/** The one weight that a file may hold for nothing: a head that is the embedding's matrix, written once more. */
export const head = 'lm_head.weight';

/** The name by which the model asks for a tensor of a file. */
export function weightName(nameInFile: string): string {
  const name = nameInFile.replace(/^backbone\./, '');
  // The old name, which transformers reads as well.
  return name === 'embedding.weight' ? 'embeddings.weight' : name;
}

/** Holds what files have against what the config implies: the same tensors, of the same shapes, of floats. */
export function checkWeights(config: MambaConfig, stored: ReadonlyMap<string, StoredTensor>, source: string): void {
  const shapes = weightShapes(config);
  const faults: string[] = [];
  const missing = [...shapes.keys()].filter((name) => !stored.has(name));
  if (missing.length > 0) faults.push(`none named ${listNames(missing)}`);
  const surplus = [...stored.keys()].filter((name) => !shapes.has(name));
  if (surplus.length > 0) faults.push(`also ${listNames(surplus)}`);
  for (const [name, shape] of shapes) {
    const { shape: given = shape, dtype = 'F32' } = stored.get(name) ?? {};
    if (`${given}` !== `${shape}`) faults.push(`'${name}' of shape [${given.join(', ')}] for [${shape.join(', ')}]`);
    if (!loadable[dtype]) faults.push(`'${name}' of ${dtype}`);
  }
  if (faults.length === 0) return;
  const [shown, rest] = [faults.slice(0, 5), faults.length - 5];
  const received = rest > 0 ? [...shown, `${rest} more faults`] : shown;
  throw checkpointError(`${source} to hold the tensors that its config.json implies`, received.join('; '));
}

/** The names and shapes of a model's weights, as the config implies them; the names leave out 'backbone.'. */
export function weightShapes(config: MambaConfig): Map<string, readonly number[]> {
  const { hiddenSize, intermediateSize, stateSize, convKernel, timeStepRank, vocabSize } = config;
  const weights = new Map<string, readonly number[]>([['embeddings.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.numHiddenLayers; layer++) {
    const add = (name: string, ...shape: number[]) => weights.set(`layers.${layer}.${name}`, shape);
    add('norm.weight', hiddenSize);
    add('mixer.in_proj.weight', 2 * intermediateSize, hiddenSize);
    if (config.useBias) add('mixer.in_proj.bias', 2 * intermediateSize);
    add('mixer.conv1d.weight', intermediateSize, 1, convKernel);
    if (config.useConvBias) add('mixer.conv1d.bias', intermediateSize);
    add('mixer.x_proj.weight', timeStepRank + 2 * stateSize, intermediateSize);
    add('mixer.dt_proj.weight', intermediateSize, timeStepRank);
    add('mixer.dt_proj.bias', intermediateSize);
    add('mixer.A_log', intermediateSize, stateSize);
    add('mixer.D', intermediateSize);
    add('mixer.out_proj.weight', hiddenSize, intermediateSize);
    if (config.useBias) add('mixer.out_proj.bias', hiddenSize);
  }
  weights.set('norm_f.weight', [hiddenSize]);
  if (!config.tieWordEmbeddings) weights.set('lm_head.weight', [vocabSize, hiddenSize]);
  return weights;
}
