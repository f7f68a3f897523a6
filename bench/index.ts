// npm run bench -- [scan|step|linear|ops|call|host|model] [--device cpu|cuda|cuda:N] [--out FOLDER] [--peer]
// Measures, prints one table, and writes <machine>-<suite>.json into bench/results (or the folder named). --peer times
// mamba_ssm side by side, for the suite 'scan' on a GPU, where python3 can import it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureRoofs, type Roofs } from 'selective-scan';
import { callColumns, measureCalls } from './call';
import { hostColumns, measureHosts } from './host';
import { linearColumns, measureLinears } from './linear';
import { findDevice, machineName } from './machine';
import { measureModels, modelColumns } from './model';
import { measureOps, opColumns } from './ops';
import { measureScans, scanColumns } from './scan';
import { measureSteps, stepColumns } from './step';
import { type Columns, printTable } from './table';

interface Suite<Row> {
  measure(
    device: string,
    threads: number | undefined,
    roofs: Roofs | undefined,
    hasPeer: boolean,
  ): Row[] | Promise<Row[]>;
  columns(row: Row): Columns;
}

const suites: Readonly<Record<string, Suite<unknown>>> = {
  scan: { measure: measureScans, columns: scanColumns },
  step: { measure: measureSteps, columns: stepColumns },
  linear: { measure: measureLinears, columns: linearColumns },
  ops: { measure: measureOps, columns: opColumns },
  call: { measure: measureCalls, columns: callColumns },
  host: { measure: measureHosts, columns: hostColumns },
  model: { measure: measureModels, columns: modelColumns },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'auto' },
    out: { type: 'string', default: 'bench/results' },
    peer: { type: 'boolean', default: false },
    threads: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const [name = 'scan'] = positionals;
  const suite = suites[name];
  if (suite === undefined) {
    throw new Error(`There is no suite '${name}'; there are ${Object.keys(suites).join(', ')}.`);
  }
  if (values.threads !== undefined) {
    process.stdout.write(JSON.stringify(await suite.measure('cpu', Number(values.threads), undefined, false)));
    return;
  }
  const device = findDevice(values.device);
  if (values.peer && (name !== 'scan' || device.device === 'cpu')) {
    throw new Error("--peer times mamba_ssm's scan on a GPU: it is for the suite 'scan' there.");
  }
  const roofs = device.device === 'cpu' ? undefined : await measureRoofs(device.device);
  const rows =
    device.device === 'cpu'
      ? cpuRows(name, device.threads)
      : await suite.measure(device.device, undefined, roofs, values.peer);
  console.log(`${device.device}: ${device.name}`);
  printTable(rows.map((row) => suite.columns(row)));
  if (roofs) {
    const functions = roofs.exponentialsPerSecond.toExponential(2);
    console.log(
      `roofs measured in this run: ${(roofs.bytesPerSecond / 1e12).toFixed(2)} TB/s, ${functions} exponentials/s`,
    );
  }
  mkdirSync(values.out, { recursive: true });
  const path = join(values.out, `${machineName(device)}-${name}.json`);
  const about = { suite: name, device, node: process.version, date: new Date().toISOString().slice(0, 10), roofs };
  writeFileSync(path, aRowALine(about, rows));
  console.log(`written to ${path}`);
}

/** JSON that a diff of two runs can be read in. */
function aRowALine(about: object, rows: readonly unknown[]): string {
  const lines = rows.map((row) => `  ${JSON.stringify(row)}`).join(',\n');
  return `${JSON.stringify(about, null, 1).slice(0, -2)},\n "rows": [\n${lines}\n ]\n}\n`;
}

/** One thread and all of them, each in a process of its own: the number of threads is fixed when a process starts. */
function cpuRows(suite: string, threads: number): unknown[] {
  return [...new Set([1, threads])].flatMap((count) => {
    const child = spawnSync(process.execPath, [__filename, suite, '--threads', String(count)], {
      env: { ...process.env, SELECTIVE_SCAN_THREADS: String(count) },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (child.status !== 0) throw new Error(`The measurement with ${count} threads failed.`);
    return JSON.parse(child.stdout) as unknown[];
  });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
