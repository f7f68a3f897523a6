// npm run bench -- [scan] [--device cpu|cuda|cuda:N] [--out FOLDER]
// Measures, prints one table, and writes <machine>-<suite>.json into bench/results (or the folder named).
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type DeviceInfo, findDevice, machineName } from './machine';
import { cpuShapes, cudaShapes, measureScans, type Row } from './scan';
import { printTable } from './table';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'auto' },
    out: { type: 'string', default: 'bench/results' },
    threads: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const [suite = 'scan'] = positionals;
  if (suite !== 'scan') throw new Error(`There is no suite '${suite}'; there is 'scan'.`);
  if (values.threads !== undefined) {
    process.stdout.write(JSON.stringify((await measureScans(cpuShapes, 'cpu', Number(values.threads))).rows));
    return;
  }
  const device = findDevice(values.device);
  const { roofs, rows } =
    device.device === 'cpu'
      ? { roofs: undefined, rows: cpuRows(device.threads) }
      : await measureScans(cudaShapes, device.device, undefined);
  print(device, rows);
  if (roofs) {
    const functions = roofs.exponentialsPerSecond.toExponential(2);
    console.log(
      `roofs measured in this run: ${(roofs.bytesPerSecond / 1e12).toFixed(2)} TB/s, ${functions} exponentials/s`,
    );
  }
  mkdirSync(values.out, { recursive: true });
  const path = join(values.out, `${machineName(device)}-${suite}.json`);
  const result = { suite, device, node: process.version, date: new Date().toISOString().slice(0, 10), roofs, rows };
  writeFileSync(path, `${JSON.stringify(result, null, 1)}\n`);
  console.log(`written to ${path}`);
}

/** One thread and all of them, each in a process of its own: the number of threads is fixed when a process starts. */
function cpuRows(threads: number): Row[] {
  return [...new Set([1, threads])].flatMap((count) => {
    const child = spawnSync(process.execPath, [__filename, 'scan', '--threads', String(count)], {
      env: { ...process.env, SELECTIVE_SCAN_THREADS: String(count) },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (child.status !== 0) throw new Error(`The measurement with ${count} threads failed.`);
    return JSON.parse(child.stdout) as Row[];
  });
}

function print(device: DeviceInfo, rows: readonly Row[]): void {
  console.log(`${device.device}: ${device.name}`);
  const percent = (fraction: number | undefined) => fraction && `${(100 * fraction).toFixed(0)}%`;
  printTable(
    rows.map((row) => ({
      '(batch, dim, seqlen)': `${row.batch}, ${row.dim}, ${row.seqlen}`,
      dstate: row.dstate,
      dtype: row.dtype,
      layout: row.layout,
      z: row.z ? 'z' : '',
      threads: row.threads,
      us: row.microseconds.toFixed(1),
      'elements/s': row.elementsPerSecond.toExponential(2),
      'special functions': percent(row.functionRoof),
      memory: percent(row.memoryRoof),
    })),
  );
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
