#!/usr/bin/env node
// Many small calls in each form, and the memory that is held as they go: `node scripts/soak.cjs [cpu|cuda] [calls]`. By
// default a million calls on the CPU, and 200000 on a GPU where there is one. It fails where memory grows in the second half
// of them: in the first, V8's heap and malloc's take their size, by 5 MB on a CPU and in some 300000 calls.
const { spawnSync } = require('node:child_process');
const v8 = require('node:v8');
const vm = require('node:vm');
const { device: deviceOf, devices } = require('..');
const { makeCalls } = require('./soak-calls.cjs');

const defaultCalls = { cpu: 1_000_000, cuda: 200_000 };
const intervals = 10;
// Before the first reading.
const warmUpCalls = { cpu: 200_000, cuda: 50_000 };
// What RSS wanders by: of half a million calls it is 6 bytes each, of 100000 it is 31.
const allowed = {
  rss: 3 * 2 ** 20,
  used: 2 ** 20, // tensors whose finalizers have not run
  cached: 32 * 2 ** 20, // by which the driver's pools grow at a time
};

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

async function heldBytes(device, calls) {
  // Finalizers run in a turn of their own after the collection.
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise(setImmediate);
  }
  await calls.synchronize();
  const { used, cached } = device === 'cpu' ? { used: 0, cached: 0 } : deviceOf(device).memory();
  return { rss: process.memoryUsage().rss, used, cached };
}

function words(device, { rss, used, cached }) {
  const ofDevice = device === 'cpu' ? '' : `, device memory used ${megabytes(used)}, cached ${megabytes(cached)}`;
  return `RSS ${megabytes(rss)}${ofDevice}`;
}

async function run(calls, count) {
  for (let i = 0; i < count; i++) {
    const result = calls.next();
    if (result instanceof Promise) await result;
  }
}

/** Whether memory stays flat. */
async function soak(device, count, warmUp) {
  const calls = makeCalls(device);
  await run(calls, warmUp);
  console.log(`${device}, warm: ${words(device, await heldBytes(device, calls))}`);
  const readings = [];
  const start = performance.now();
  for (let interval = 1; interval <= intervals; interval++) {
    await run(calls, Math.round(count / intervals));
    readings.push(await heldBytes(device, calls));
    console.log(`${device}, ${Math.round((count * interval) / intervals)} calls: ${words(device, readings.at(-1))}`);
  }
  const seconds = (performance.now() - start) / 1000;
  calls.dispose();
  // The least of three each, because a passing peak is no growth.
  const leastOf = (some, kind) => Math.min(...some.map((reading) => reading[kind]));
  const growthOf = (kind) => leastOf(readings.slice(-3), kind) - leastOf(readings.slice(2, 5), kind);
  const kinds = device === 'cpu' ? ['rss'] : ['rss', 'used', 'cached'];
  const growth = kinds.map((kind) => `${kind} ${megabytes(growthOf(kind))} (allowed ${megabytes(allowed[kind])})`);
  console.log(`${device}, growth in the second half of ${seconds.toFixed(0)} s: ${growth.join(', ')}`);
  return kinds.every((kind) => growthOf(kind) <= allowed[kind]);
}

async function main() {
  const [only, calls] = process.argv.slice(2);
  const hasGpu = devices().some(({ device }) => device !== 'cpu');
  for (const kind of ['cpu', 'cuda']) {
    if (only !== undefined && only !== kind) continue;
    if (kind === 'cuda' && !hasGpu) {
      console.log('cuda: not run, there is no GPU here');
      if (only === kind) process.exitCode = 1;
      continue;
    }
    const count = Number(calls ?? defaultCalls[kind]);
    if (!(await soak(kind === 'cpu' ? 'cpu' : 'cuda:0', count, warmUpCalls[kind]))) process.exitCode = 1;
  }
}

// malloc's arenas, one a thread, wander by more than what is looked for here: the process gets along with one.
if (process.env.MALLOC_ARENA_MAX === undefined) {
  const env = { ...process.env, MALLOC_ARENA_MAX: '1' };
  process.exitCode = spawnSync(process.execPath, process.argv.slice(1), { stdio: 'inherit', env }).status ?? 1;
} else {
  main();
}
