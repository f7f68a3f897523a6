// Opens checkpoints that are refused at each stage, and prints how many files that leaves open.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checkpoint, SafetensorsFile } from 'selective-scan/mamba';
import { copyCheckpoint, cutIntoShards, editJson, indexName } from '../support/model-files';

// Where the system lists them; elsewhere nothing is counted.
function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'selective-scan-test-'));
  const refused = (path: string) => Checkpoint.open(path).then(fail, () => undefined);
  const fail = () => {
    throw new Error('It was not refused.');
  };
  try {
    copyCheckpoint('plain', folder);
    await (await Checkpoint.open(folder)).close();
    const before = openFiles();
    editJson(join(folder, 'config.json'), (config) => Object.assign(config, { state_size: 3 }));
    await refused(folder);
    cutIntoShards(folder);
    await refused(folder);
    editJson(join(folder, indexName), ({ weight_map: weightMap }) =>
      Object.assign(weightMap, { extra: 'x.safetensors' }),
    );
    await refused(folder);
    writeFileSync(join(folder, 'x.safetensors'), 'not one');
    await refused(folder);
    await SafetensorsFile.open(join(folder, 'x.safetensors')).then(fail, () => undefined);
    console.log(`${openFiles() - before} more files open`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

main();
