#!/usr/bin/env node
// Many small calls in each form, and the memory that is held as they go: `node scripts/soak.cjs [cpu|cuda] [calls]`. By
// default a million calls on the CPU, and 200000 on a GPU where there is one. It fails where memory grows.
const { spawnSync } = require('node:child_process');
const v8 = require('node:v8');
const vm = require('node:vm');
const { device: deviceOf, devices } = require('..');
const { makeCalls } = require('./soak-calls.cjs');

const defaultCalls = { cpu: 1_000_000, cuda: 200_000 };
const intervals = 10;
// Until V8's heap, its compiled code and malloc's arenas have their size.
const warmUpCalls = { cpu: 200_000, cuda: 50_000 };
// What RSS wanders by. Of a million calls it is 8 bytes each, of 200000 it is 42.
const allowed = {
  rss: 8 * 2 ** 20,
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
  const before = await heldBytes(device, calls);
  console.log(`${device}, warm: ${words(device, before)}`);
  const readings = [];
  const start = performance.now();
  for (let interval = 1; interval <= intervals; interval++) {
    await run(calls, Math.round(count / intervals));
    readings.push(await heldBytes(device, calls));
    console.log(`${device}, ${Math.round((count * interval) / intervals)} calls: ${words(device, readings.at(-1))}`);
  }
  const seconds = (performance.now() - start) / 1000;
  calls.dispose();
  // The least of the last three, because a passing peak is no growth.
  const growthOf = (kind) => Math.min(...readings.slice(-3).map((reading) => reading[kind])) - before[kind];
  const kinds = device === 'cpu' ? ['rss'] : ['rss', 'used', 'cached'];
  const growth = kinds.map((kind) => `${kind} ${megabytes(growthOf(kind))} (allowed ${megabytes(allowed[kind])})`);
  console.log(`${device}, growth in ${seconds.toFixed(0)} s: ${growth.join(', ')}`);
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
