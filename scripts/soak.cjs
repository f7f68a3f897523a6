#!/usr/bin/env node
// Many small calls on the CPU, in each form, and the memory that the process holds as they go: `node scripts/soak.cjs
// [calls]`, 200000 by default. It fails where memory grows.
const v8 = require('node:v8');
const vm = require('node:vm');
const { selectiveScan, selectiveScanSync, selectiveStateUpdateSync, Tensor } = require('..');

const calls = Number(process.argv[2] ?? 200_000);
const intervals = 10;
// Until V8's heap, its compiled code and malloc's arenas have their size.
const warmUpCalls = 100_000;
// What RSS wanders by. Of the default number of calls it is 42 bytes each, of a million 8.
const allowedBytes = 8 * 2 ** 20;

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');

const [batch, dim, seqlen, dstate] = [1, 8, 16, 4];
const array = (length, value) => new Float32Array(length).fill(value);
const arrays = {
  u: array(batch * dim * seqlen, 0.5),
  delta: array(batch * dim * seqlen, 0.1),
  A: array(dim * dstate, -1),
  B: array(batch * dstate * seqlen, 0.3),
  C: array(batch * dstate * seqlen, 0.7),
};
const inArrays = { ...arrays, dims: { batch, dim, seqlen, dstate }, device: 'cpu' };
const inTensors = {
  u: Tensor.from(arrays.u, [batch, dim, seqlen]),
  delta: Tensor.from(arrays.delta, [batch, dim, seqlen]),
  A: Tensor.from(arrays.A, [dim, dstate]),
  B: Tensor.from(arrays.B, [batch, dstate, seqlen]),
  C: Tensor.from(arrays.C, [batch, dstate, seqlen]),
};
const step = {
  state: Tensor.from(array(batch * dim * dstate, 0), [batch, dim, dstate]),
  u: Tensor.from(array(batch * dim, 0.5), [batch, dim]),
  delta: Tensor.from(array(batch * dim, 0.1), [batch, dim]),
  A: inTensors.A,
  B: Tensor.from(array(batch * dstate, 0.3), [batch, dstate]),
  C: Tensor.from(array(batch * dstate, 0.7), [batch, dstate]),
};

const expectCode = (error, code) => {
  if (error.code !== code) throw error;
};
const forms = [
  () => selectiveScanSync(inArrays),
  () => selectiveScan(inArrays),
  () => selectiveScanSync(inTensors).out.dispose(),
  () => selectiveScanSync({ ...inTensors, returnLastState: true }), // left to the finalizer
  async () => (await selectiveScan(inTensors)).out.dispose(),
  async () => (await selectiveScan({ ...inTensors, signal: new AbortController().signal })).out.toArray(),
  () => selectiveScan({ ...inTensors, signal: AbortSignal.abort() }).catch((error) => expectCode(error, 'ERR_ABORTED')),
  () => selectiveStateUpdateSync(step).out.dispose(),
];

async function heldBytes() {
  // Finalizers run in a turn of their own after the collection.
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise(setImmediate);
  }
  return process.memoryUsage().rss;
}

async function run(count) {
  for (let i = 0; i < count; i++) {
    const result = forms[i % forms.length]();
    if (result instanceof Promise) await result;
  }
}

async function main() {
  const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
  await run(warmUpCalls);
  const before = await heldBytes();
  console.log(`warm: RSS ${megabytes(before)}`);
  const readings = [];
  for (let interval = 1; interval <= intervals; interval++) {
    await run(calls / intervals);
    readings.push(await heldBytes());
    console.log(`${Math.round((calls * interval) / intervals)} calls: RSS ${megabytes(readings.at(-1))}`);
  }
  // The least of the last three, because a passing peak is no growth.
  const growth = Math.min(...readings.slice(-3)) - before;
  console.log(`growth: ${megabytes(growth)}, allowed: ${megabytes(allowedBytes)}`);
  if (growth > allowedBytes) process.exitCode = 1;
}

main();
