import { join } from 'node:path';
import { checkpointError, listNames, quoted } from './checkpoint-error.js';
import { isJsonObject, kindOf } from './json.js';
import { isPresent, readJsonFile } from './model-file.js';
import { SafetensorsFile } from './safetensors.js';

const single = 'model.safetensors';
const index = 'model.safetensors.index.json';

/** Opens the weights of a folder: model.safetensors, or else the shards that model.safetensors.index.json names. */
export async function openShards(folder: string): Promise<SafetensorsFile[]> {
  if (await isPresent(join(folder, single))) return [await SafetensorsFile.open(join(folder, single))];
  if (await isPresent(join(folder, index))) return openIndexed(folder);
  throw checkpointError(`'${folder}' to hold ${single} or ${index}`, 'neither');
}

async function openIndexed(folder: string): Promise<SafetensorsFile[]> {
  const source = `'${join(folder, index)}'`;
  const { weight_map: weightMap } = await readJsonFile(join(folder, index));
  if (!isJsonObject(weightMap)) throw checkpointError(`weight_map of ${source} to be an object`, kindOf(weightMap));
  const shards = new Map<string, SafetensorsFile>();
  try {
    for (const shard of new Set(Object.values(weightMap))) {
      const name = checkName(shard, source);
      shards.set(name, await SafetensorsFile.open(join(folder, name)));
    }
    checkPlaces(weightMap, shards, source);
    return [...shards.values()];
  } catch (error) {
    await closeShards(shards.values());
    throw error;
  }
}

export async function closeShards(shards: Iterable<SafetensorsFile>): Promise<void> {
  await Promise.all(Array.from(shards, (shard) => shard.close()));
}

/** A plain name, so that an index can reach nothing outside its folder (':' is a drive or a stream on Windows). */
function checkName(shard: unknown, source: string): string {
  if (typeof shard === 'string' && /^[^/\\:\0]+\.safetensors$/.test(shard)) return shard;
  throw checkpointError(`weight_map of ${source} to name .safetensors files of its folder`, kindOf(shard));
}

/** Each tensor is in the shard that the index names, and no shard has others. */
function checkPlaces(weightMap: object, shards: ReadonlyMap<string, SafetensorsFile>, source: string): void {
  for (const [name, shard] of Object.entries(weightMap)) {
    if (shards.get(shard)?.tensors.has(name)) continue;
    throw checkpointError(`${quoted(name)} to be in '${shard}', where ${source} has it,`, 'a shard without it');
  }
  for (const [shard, { tensors }] of shards) {
    const others = [...tensors.keys()].filter((name) => Reflect.get(weightMap, name) !== shard);
    if (others.length === 0) continue;
    throw checkpointError(`'${shard}' to hold what ${source} says`, `also ${listNames(others)}`);
  }
}
