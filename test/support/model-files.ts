import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenFolder, packageRoot } from './files';

export const checkpointNames = ['bias', 'falcon', 'no_conv_bias', 'plain', 'state8_expand3_k3', 'untied'];
export const modelNames = ['induction-heads', 'tiny-code-lm'];

export const goldenCheckpoint = (name: string): string => join(goldenFolder, 'checkpoints', name);
export const trainedModel = (name: string): string => join(packageRoot, 'models', name);

/** Copies a golden checkpoint, to be altered, into a folder. */
export function copyCheckpoint(name: string, folder: string): string {
  for (const file of ['config.json', 'model.safetensors']) {
    cpSync(join(goldenCheckpoint(name), file), join(folder, file));
  }
  return folder;
}

/** A tensor as the header of a file describes it. */
export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** A safetensors file of a header, given as text or as what JSON is made of, and of data. */
export function safetensorsBytes(header: unknown, data: Uint8Array | number = 0): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, typeof data === 'number' ? Buffer.alloc(data) : data]);
}

/** The bytes of each tensor of a file, by what its header says and no more: of files that are known to be right. */
export function tensorBytes(file: Buffer): Map<string, HeaderEntry & { bytes: Buffer }> {
  const dataStart = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, dataStart)) as Record<string, HeaderEntry>;
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return new Map(
    tensors.map(([name, entry]) => {
      const [begin, end] = entry.data_offsets;
      return [name, { ...entry, bytes: file.subarray(dataStart + begin, dataStart + end) }];
    }),
  );
}

/** Writes a file of the tensors given. */
export function writeTensors(
  path: string,
  tensors: Iterable<[string, Omit<HeaderEntry, 'data_offsets'> & { bytes: Buffer }]>,
): void {
  const header: Record<string, unknown> = {};
  const data: Buffer[] = [];
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    data.push(bytes);
    at += bytes.length;
  }
  writeFileSync(path, safetensorsBytes(header, Buffer.concat(data)));
}

export const shardNames = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
export const indexName = 'model.safetensors.index.json';

/** Cuts model.safetensors in a folder into two shards with their index, tensors taking turns. */
export function cutIntoShards(folder: string): void {
  const file = join(folder, 'model.safetensors');
  const tensors = [...tensorBytes(readFileSync(file))];
  const shardOf = (i: number) => shardNames[i % 2];
  for (const [turn, shard] of shardNames.entries()) {
    writeTensors(
      join(folder, shard),
      tensors.filter((_, i) => i % 2 === turn),
    );
  }
  const weightMap = Object.fromEntries(tensors.map(([name], i) => [name, shardOf(i)]));
  writeFileSync(join(folder, indexName), JSON.stringify({ metadata: {}, weight_map: weightMap }));
  rmSync(file);
}

/** Rewrites a JSON file. */
export function editJson(path: string, edit: (json: any) => void): void {
  const json = JSON.parse(readFileSync(path, 'utf8'));
  edit(json);
  writeFileSync(path, JSON.stringify(json));
}
