import { expect, test } from '@jest/globals';
import { selectiveScan, selectiveScanSync, type Tensor } from 'selective-scan';
import { tensorOptions, typedArrayOptions } from './support/call';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import { randomCase } from './support/random-case';
import './support/patience';

describeOnEachDevice((device) => {
  const small = typedArrayOptions(randomCase(), device);
  // u, delta and z of 5 MB each, more than is copied in one turn of the event loop.
  const large = typedArrayOptions(randomCase({ batch: 1, dim: 64, seqlen: 20_480, dstate: 2 }), device);

  // Little to bring, and 6.5 MB of states to fetch.
  const starts = Array.from({ length: 101 }, (_, i) => i);
  const states = randomCase({ batch: 1, dim: 64, seqlen: 100, dstate: 256, cuSeqlens: starts });

  test.each([
    ['small', small],
    ['large', large],
    ['small, with many states', typedArrayOptions(states, device)],
  ])('both forms give the same, %s', async (_name, options) => {
    const sync = selectiveScanSync(options);
    const promise = await selectiveScan(options);
    expect(sameBytes(promise.out, sync.out)).toBe(true);
    expect(sameBytes(promise.lastState, sync.lastState)).toBe(true);
  });

  test('a call again, and the same as tensors, give the same bits', async () => {
    const first = selectiveScanSync(small);
    const again = selectiveScanSync(small);
    const { out, lastState } = selectiveScanSync(tensorOptions(randomCase(), device).options);
    expect(sameBytes(again.out, first.out) && sameBytes(again.lastState, first.lastState)).toBe(true);
    expect(sameBytes(await (out as Tensor).toArray(), first.out)).toBe(true);
    expect(sameBytes(await (lastState as Tensor).toArray(), first.lastState)).toBe(true);
  });

  test('small arrays are free to change as soon as the promise form has returned', async () => {
    const want = selectiveScanSync(small).out;
    const mine = { ...small, u: (small.u as Float32Array).slice(), A: (small.A as Float32Array).slice() };
    const promise = selectiveScan(mine);
    mine.u.fill(Number.NaN);
    mine.A.fill(Number.NaN);
    expect(sameBytes((await promise).out, want)).toBe(true);
  });

  test('a large array that loses its memory at once is an error', async () => {
    // 200 MB: far more than is read at the call, on any device.
    const dims = { batch: 1, dim: 64, seqlen: 2 ** 18, dstate: 2 };
    const steps = new Float32Array(dims.dim * dims.seqlen).fill(0.5);
    const matrix = steps.subarray(0, dims.dstate * dims.seqlen);
    const z = steps.slice();
    const A = new Float32Array(dims.dim * dims.dstate).fill(-1);
    const promise = selectiveScan({ u: steps, delta: steps, A, B: matrix, C: matrix, z, dims, device });
    takeMemoryOf(z);
    expectFailure(await rejectionOf(promise), { code: 'ERR_SHAPE', about: 'z' });
  });

  test('a large array that loses its memory later is an error, or has been read as it was', async () => {
    const want = selectiveScanSync(large).out;
    const outcomes = [];
    for (const turns of [0, 1, 2, 3, 5, 8, 12, 20]) {
      const z = (large.z as Float32Array).slice();
      const outcome = selectiveScan({ ...large, z }).then(
        ({ out }) => (sameBytes(out, want) ? 'right' : 'wrong'),
        ({ code }) => code,
      );
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      takeMemoryOf(z);
      outcomes.push(await outcome);
    }
    for (const outcome of outcomes) expect(['right', 'ERR_SHAPE']).toContain(outcome);
  });

  test('results are arrays of their own, as in the documentation', () => {
    const { out, lastState } = selectiveScanSync(small);
    expect(out).toBeInstanceOf(Float32Array);
    expect(lastState).toBeInstanceOf(Float32Array);
    expect((out as Float32Array).byteLength).toBe((out as Float32Array).buffer.byteLength);
    expect(selectiveScanSync(small).out).not.toBe(out);
  });
});

/** Detaches an array, and has its memory say so to whoever still reads it. */
function takeMemoryOf({ buffer }: Float32Array): void {
  new Float32Array(structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })).fill(Number.NaN);
}

function sameBytes(a: unknown, b: unknown): boolean {
  const [left, right] = [a, b].map((array) => Buffer.from((array as Float32Array).buffer));
  return left?.equals(right as Buffer) ?? false;
}
