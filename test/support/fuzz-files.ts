import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { Checkpoint } from 'selective-scan/mamba';
import { complaintsAboutError } from './fuzz-verdict';
import {
  checkpointNames,
  copyCheckpoint,
  cutIntoShards,
  goldenCheckpoint,
  indexName,
  tensorBytes,
} from './model-files';

/** A golden checkpoint, in one file or two, and what is done to its files. */
export interface FilesPlan {
  golden: string;
  inShards: boolean;
  changes: Change[];
}

/** `file` and `at` choose among the files and places that there are. */
interface Change {
  kind: keyof typeof changes;
  file: number;
  at: number;
  byte: number;
  text: string;
}

/** What JSON says in the place of something else. */
const texts = [
  '0',
  '-1',
  '1',
  '0.5',
  '1e3',
  '9007199254740993',
  '1e400',
  '"F64"',
  '"BF16"',
  'null',
  '[]',
  '{}',
  '"../x"',
  'true',
];

const changes = {
  truncate: (path: string, bytes: Buffer, { at }: Change) => truncateSync(path, at % (bytes.length + 1)),
  extend: (path: string, bytes: Buffer, { byte, at }: Change) => {
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(1 + (at % 9), byte)]));
  },
  // In the first kilobytes, where a header or a whole JSON file is; a bit that leaves ASCII what it is.
  early: (path: string, bytes: Buffer, { at, byte }: Change) => writeByte(path, bytes, at % 3000, 1 << (byte % 7)),
  length: (path: string, bytes: Buffer, change: Change) => writeByte(path, bytes, change.at % 8, change.byte),
  anywhere: (path: string, bytes: Buffer, change: Change) => writeByte(path, bytes, change.at, change.byte),
  // A value of the JSON text, which keeps its form.
  value: (path: string, bytes: Buffer, { at, text }: Change) => {
    const isWeights = path.endsWith('.safetensors');
    const end = isWeights ? 8 + Number(bytes.readBigUInt64LE(0)) : bytes.length;
    const json = bytes.toString('latin1', isWeights ? 8 : 0, end);
    const values = [...json.matchAll(/(?<=[:[,]\s*)(?:-?\d[\d.e+-]*|"[^"]*"(?!\s*:)|true|false|null)/g)];
    if (values.length === 0) return;
    const { index, 0: old } = values[at % values.length];
    const changed = Buffer.from(json.slice(0, index) + text + json.slice(index + old.length), 'latin1');
    if (!isWeights) return writeFileSync(path, changed);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(changed.length));
    writeFileSync(path, Buffer.concat([length, changed, bytes.subarray(end)]));
  },
  cutOut: (path: string, bytes: Buffer, { at, byte }: Change) => {
    const from = at % (bytes.length + 1);
    writeFileSync(path, Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + byte)]));
  },
  remove: (path: string) => rmSync(path),
};

function writeByte(path: string, bytes: Buffer, at: number, byte: number): void {
  if (bytes.length === 0) return;
  const changed = Buffer.from(bytes);
  changed[at % bytes.length] ^= byte;
  writeFileSync(path, changed);
}

export const filesPlans: fc.Arbitrary<FilesPlan> = fc.record({
  golden: fc.constantFrom(...checkpointNames),
  inShards: fc.boolean(),
  changes: fc.array(
    fc.record({
      kind: fc.constantFrom(...(Object.keys(changes) as (keyof typeof changes)[])),
      file: fc.nat(99),
      at: fc.nat(200_000),
      byte: fc.nat(255),
      text: fc.constantFrom(...texts),
    }),
    { maxLength: 3 },
  ),
});

/**
 * What is wrong with how the altered files were read: they have to be refused with a code, or give the weights that they
 * hold, each by its name and of the shape that it had.
 */
export async function complaintsAboutFiles(plan: FilesPlan, folder: string): Promise<string[]> {
  for (const file of readdirSync(folder)) rmSync(join(folder, file));
  copyCheckpoint(plan.golden, folder);
  if (plan.inShards) cutIntoShards(folder);
  for (const change of plan.changes) {
    const files = readdirSync(folder).sort();
    if (files.length === 0) break;
    const path = join(folder, files[change.file % files.length]);
    changes[change.kind](path, readFileSync(path), change);
  }
  let checkpoint: Checkpoint | undefined;
  try {
    checkpoint = await Checkpoint.open(folder);
    return await complaintsAboutWeights(checkpoint, plan, folder);
  } catch (error) {
    const codes = plan.changes.length === 0 ? [] : ['ERR_CHECKPOINT', 'ERR_UNSUPPORTED'];
    return complaintsAboutError(error, new Set(codes));
  } finally {
    await checkpoint?.close();
  }
}

async function complaintsAboutWeights(checkpoint: Checkpoint, plan: FilesPlan, folder: string): Promise<string[]> {
  const original = tensorBytes(readFileSync(join(goldenCheckpoint(plan.golden), 'model.safetensors')));
  const weights = await checkpoint.load({ device: 'cpu' });
  const found = weightFiles(folder).flatMap(complaintsAboutLength);
  for (const [nameInFile, { dtype, shape }] of original) {
    const name = nameInFile.replace('backbone.', '');
    const tensor = weights.get(name);
    const stored = checkpoint.tensors.get(name);
    if (tensor === undefined || stored === undefined) {
      if (name !== 'lm_head.weight' || !checkpoint.config.tieWordEmbeddings) found.push(`${name} is not there`);
      continue;
    }
    if (`${tensor.dims}` !== `${shape}`) found.push(`${name} is of shape [${tensor.dims}]`);
    if (stored.dtype !== dtype) found.push(`${name} is of ${stored.dtype}`);
    const { buffer, byteOffset, byteLength } = tensor.data;
    if (!Buffer.from(buffer, byteOffset, byteLength).equals(bytesInFiles(folder, nameInFile))) {
      found.push(`${name} has other bytes than its file`);
    }
    tensor.dispose();
  }
  if (weights.size > original.size) found.push(`there are ${weights.size} weights`);
  return found;
}

function bytesInFiles(folder: string, name: string): Buffer {
  const files = weightFiles(folder).map((path) => tensorBytes(readFileSync(path)));
  return files.find((tensors) => tensors.has(name))?.get(name)?.bytes ?? Buffer.alloc(0);
}

/** A file that is read has to be its header and its tensors, and nothing else. */
function complaintsAboutLength(path: string): string[] {
  const file = readFileSync(path);
  const header = 8 + Number(file.readBigUInt64LE(0));
  const length = [...tensorBytes(file).values()].reduce((sum, { bytes }) => sum + bytes.length, header);
  return length === file.length ? [] : [`${path} has ${file.length} bytes, of which ${length} are known`];
}

function weightFiles(folder: string): string[] {
  const single = join(folder, 'model.safetensors');
  if (existsSync(single)) return [single];
  const { weight_map: weightMap } = JSON.parse(readFileSync(join(folder, indexName), 'utf8'));
  return [...new Set(Object.values<string>(weightMap))].map((shard) => join(folder, shard));
}
