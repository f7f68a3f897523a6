import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import {
  device as deviceOf,
  devices,
  type SelectiveScanOptions,
  selectiveScan,
  selectiveScanSync,
  Tensor,
} from 'selective-scan';
import { tensorOptions, typedArrayOptions } from './support/call';
import { complaintsAgainstReference } from './support/closeness';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { expectFailure, thrownBy } from './support/failures';
import { randomCase } from './support/random-case';
import { callInSlices } from './support/sliced-call';
import './support/patience';

describeOnEachDevice((device) => {
  test('memory given out again does not disturb work in flight that still reads it', async () => {
    const problem = randomCase({ batch: 2, dim: 64, seqlen: 512 });
    const options = tensorOptions(problem, device).options as SelectiveScanOptions<Tensor>;
    const values = selectiveScanSync(options).out.toArraySync();
    const next = { ...problem, u: Float64Array.from(values) };

    const got = [];
    for (let i = 0; i < 20; i++) {
      const between = selectiveScanSync(options).out;
      got.push(selectiveScanSync({ ...options, u: between, returnLastState: true }));
      between.dispose();
      // Of the size of `between`, and of other values.
      selectiveScanSync({ ...options, u: options.delta, z: undefined }).out.dispose();
    }
    const results = got.map(({ out, lastState }) => ({
      out: out.toArraySync(),
      lastState: (lastState as Tensor).toArraySync(),
    }));
    const [first] = results as [(typeof results)[number]];
    expect(complaintsAgainstReference(next, first)).toEqual([]);
    const differing = results.filter((result) => !isDeepStrictEqual(result, first));
    expect(differing.length).toBe(0);
  });

  test('a result may be dropped in either form while it is being made', async () => {
    const problem = randomCase({ batch: 1, dim: 64, seqlen: 512 });
    const options = tensorOptions(problem, device).options as SelectiveScanOptions<Tensor>;
    const dropped = Array.from({ length: 10 }, async () => (await selectiveScan(options)).out.dispose());
    for (let i = 0; i < 10; i++) selectiveScanSync(options).out.dispose();
    const { out, lastState } = await selectiveScan({ ...options, returnLastState: true });
    await Promise.all(dropped);
    const got = { out: await out.toArray(), lastState: await (lastState as Tensor).toArray() };
    expect(complaintsAgainstReference(problem, got)).toEqual([]);
  });
});

describeOnEachDevice((device) => {
  test('emptyCache between calls on host arrays, and while they run', async () => {
    const problem = randomCase({ batch: 3, dim: 33, seqlen: 65 });
    const calls = [];
    for (let i = 0; i < 20; i++) {
      calls.push(
        callInSlices(problem, device, 'promise', { sliceBytes: 3000, inStream: true }),
        deviceOf(device).emptyCache(),
      );
      if (i % 5 === 4) await Promise.all(calls);
    }
    const results = (await Promise.all(calls)).filter((result) => result !== undefined);
    expect(results.length).toBe(20);
    for (const result of results) expect(complaintsAgainstReference(problem, result)).toEqual([]);
  });
});

describeOnGpus((device) => {
  test('a warm call takes nothing from the device', async () => {
    const operands = tensorOptions(randomCase(), device).options as SelectiveScanOptions<Tensor>;
    const options = { ...operands, returnLastState: false };
    const held = async () => {
      for (let i = 0; i < 20; i++) {
        selectiveScanSync(options).out.dispose();
        (await selectiveScan(options)).out.dispose();
      }
      const { used, cached } = deviceOf(device).memory();
      return used + cached;
    };
    const warm = await held();
    for (let i = 0; i < 5; i++) expect(await held()).toBe(warm);
  });

  test('the memory of calls on large host arrays is counted, and given back', async () => {
    const options = typedArrayOptions(randomCase({ batch: 1, dim: 512, seqlen: 4096 }), device);
    await deviceOf(device).emptyCache();
    const before = deviceOf(device).memory();
    let most = 0;
    let isRunning = true;
    const call = selectiveScan(options).finally(() => {
      isRunning = false;
    });
    for (; isRunning; await new Promise(setImmediate)) most = Math.max(most, deviceOf(device).memory().used);
    await call;
    const after = deviceOf(device).memory();
    expect(after.used).toBe(before.used);
    expect(after.cached).toBeGreaterThan(before.cached);
    expect(most).toBeGreaterThan(before.used);
    await deviceOf(device).emptyCache();
    expect(deviceOf(device).memory().cached).toBe(before.cached);
  });
});

describeOnGpus((device) => {
  // A call whose last state takes about that part of the device's memory: an empty sequence has one too.
  const total = (): number => (devices().find((each) => each.device === device) as { memory: number }).memory;
  const [dim, dstate] = [2 ** 16, 2 ** 8];
  const zeros = (dims: number[]): Tensor => {
    const length = dims.reduce((product, size) => product * size, 1);
    return Tensor.from(new Float32Array(length), dims).toSync(device);
  };
  const operands = () => {
    const step = zeros([1, dim, 1]);
    const matrix = zeros([1, dstate, 1]);
    return { u: step, delta: step, A: zeros([dim, dstate]), B: matrix, C: matrix };
  };
  const stateOf = (tensors: ReturnType<typeof operands>, part: number): Tensor => {
    const sequences = Math.ceil((part * total()) / (dim * dstate * 4));
    const cuSeqlens = new Int32Array(sequences + 1).fill(1, 1);
    const { out, lastState } = selectiveScanSync({ ...tensors, cuSeqlens, returnLastState: true });
    out.dispose();
    return lastState as Tensor;
  };

  describe('memory of results that were disposed', () => {
    test('serves later calls of the same size', () => {
      const tensors = operands();
      // Together ten times what there is.
      for (let i = 0; i < 100; i++) stateOf(tensors, 0.1).dispose();
      for (const tensor of Object.values(tensors)) tensor.dispose();
    });

    test('serves calls of other sizes', () => {
      const tensors = operands();
      for (const part of [0.1, 0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.06]) stateOf(tensors, part).dispose();
      for (const tensor of Object.values(tensors)) tensor.dispose();
    });
  });

  test('a device whose memory is full is an error, and the next smaller call works', () => {
    const tensors = operands();
    const held: Tensor[] = [];
    const failure = thrownBy(() => {
      for (let i = 0; i < 11; i++) held.push(stateOf(tensors, 0.1));
    });
    expectFailure(failure, { code: 'ERR_OUT_OF_MEMORY', about: `on ${device}` });
    expect(held.length).toBeGreaterThan(1);
    stateOf(tensors, 0.001).dispose();

    held.pop()?.dispose();
    stateOf(tensors, 0.09).dispose();
    // What the others leave is kept for calls of their size, until a larger one needs it.
    for (const tensor of held) tensor.dispose();
    stateOf(tensors, 0.1 * held.length).dispose();
    for (const tensor of Object.values(tensors)) tensor.dispose();
  });
});
