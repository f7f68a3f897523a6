import { describe, expect, test } from '@jest/globals';
import {
  devices,
  measureRoofs,
  type SelectiveScanOptions,
  selectiveScan,
  selectiveScanSync,
  synchronize,
  synchronizeSync,
  Tensor,
} from 'selective-scan';
import { tensorOptions, typedArrayOptions } from './support/call';
import { runChild } from './support/child';
import { complaintsAgainstReference } from './support/closeness';
import { describeOnEachDevice, describeOnGpus, gpus } from './support/devices';
import { expectFailure, rejectionOf, thrownBy } from './support/failures';
import { randomCase } from './support/random-case';
import './support/patience';

const problem = randomCase();

test('the CPU comes first and says what it is', () => {
  const cpu = devices()[0];
  expect(cpu).toMatchObject({ device: 'cpu', name: expect.stringMatching(/\S/) });
  expect(['avx512', 'avx2', 'neon', 'portable']).toContain((cpu as { vectorSet: string }).vectorSet);
  expect((cpu as { threads: number }).threads).toBeGreaterThanOrEqual(1);
});

test('every device is listed once', () => {
  const names = devices().map(({ device }) => device);
  expect(names).toEqual(['cpu', ...gpus.map((_, i) => `cuda:${i}`)]);
});

describe('auto', () => {
  const expected = gpus[0] ?? 'cpu';

  test.each([undefined, 'auto'])('device %j takes the GPU if there is one, else the CPU', async (device) => {
    const { device: _, ...rest } = typedArrayOptions(problem, 'cpu');
    const options: SelectiveScanOptions = device === undefined ? rest : { ...rest, device };
    expect(selectiveScanSync(options).device).toBe(expected);
    expect((await selectiveScan(options)).device).toBe(expected);
  });

  test('SELECTIVE_SCAN_DEVICE says what auto means', async () => {
    const child = await runChild('scan-on-auto', [], { env: { SELECTIVE_SCAN_DEVICE: 'cpu' } });
    expect(child).toMatchObject({ code: 0, stdout: 'cpu\n' });
  });
});

test('cuda without a GPU is an error, not a slow success', () => {
  if (gpus.length > 0) expect(selectiveScanSync(typedArrayOptions(problem, 'cuda')).device).toBe('cuda:0');
  else {
    const failure = { code: 'ERR_DEVICE', about: 'cuda' };
    expectFailure(
      thrownBy(() => selectiveScanSync(typedArrayOptions(problem, 'cuda'))),
      failure,
    );
  }
});

test('roofs of the CPU are not measured', async () => {
  expectFailure(await rejectionOf(measureRoofs('cpu')), { code: 'ERR_UNSUPPORTED', about: 'GPU' });
});

test.each(['tpu', 'cuda:99'])('%s cannot be waited for', async (device) => {
  const failure = { code: 'ERR_DEVICE', about: device };
  expectFailure(
    thrownBy(() => synchronizeSync(device)),
    failure,
  );
  expectFailure(await rejectionOf(synchronize(device)), failure);
});

describeOnEachDevice((device) => {
  test('synchronize settles, with work and without', async () => {
    await synchronize(device);
    selectiveScanSync(tensorOptions(problem, device).options);
    await synchronize(device);
    synchronizeSync(device);
  });

  test('results live where the operands live', () => {
    const { out, lastState, device: name } = selectiveScanSync(tensorOptions(problem, device).options);
    expect(name).toBe(device);
    expect(out).toMatchObject({ device, dims: [2, 33, 65], dtype: 'float32' });
    expect(lastState).toMatchObject({ device, dims: [2, 33, 16], dtype: 'float32' });
  });

  test('no last state unless it is asked for', () => {
    const { returnLastState: _, ...options } = tensorOptions(problem, device).options;
    expect(selectiveScanSync(options).lastState).toBeUndefined();
  });

  test('calls keep the order they were written in', async () => {
    // Each scan reads what the one before wrote; the blocking form does not wait on a GPU.
    let chained = problem;
    const { options } = tensorOptions(problem, device);
    let result = selectiveScanSync(options);
    for (let i = 0; i < 3; i++) result = selectiveScanSync({ ...options, initialState: result.lastState as Tensor });
    for (let i = 0; i < 3; i++) {
      const { lastState } = await selectiveScan(tensorOptions(chained, device).options);
      chained = { ...problem, initialState: Float64Array.from(await (lastState as Tensor).toArray()) };
    }
    const got = {
      out: await (result.out as Tensor).toArray(),
      lastState: await (result.lastState as Tensor).toArray(),
    };
    expect(complaintsAgainstReference(chained, got)).toEqual([]);
  });

  test('many calls at once do not disturb each other', async () => {
    const problems = Array.from({ length: 40 }, (_, seed) =>
      randomCase({ seed, dim: 1 + (seed % 19), seqlen: 1 + 5 * seed }),
    );
    const results = await Promise.all(problems.map((each) => selectiveScan(typedArrayOptions(each, device))));
    const found = results.flatMap(({ out, lastState }, i) =>
      complaintsAgainstReference(problems[i] as typeof problem, {
        out: out as Float32Array,
        lastState: lastState as Float32Array,
      }),
    );
    expect(found).toEqual([]);
  });

  test('cuSeqlens may be an int32 tensor on the CPU', async () => {
    const packed = randomCase({ batch: 1, cuSeqlens: [0, 20, 20, 65] });
    const { options } = tensorOptions(packed, device);
    const cuSeqlens = Tensor.from(options.cuSeqlens as Int32Array, [4]);
    const results = [selectiveScanSync(options), selectiveScanSync({ ...options, cuSeqlens })];
    const [want, got] = results.map(({ lastState }) => (lastState as Tensor).toArraySync());
    expect(got).toEqual(want);
  });

  test('a result that no memory holds is an error, and the next call works', async () => {
    const [dim, dstate, sequences] = [4096, 4096, 2 ** 22]; // states of 2^48 bytes, more than there are addresses
    const matrix = Tensor.from(new Float32Array(dim * dstate), [dim, dstate]).toSync(device);
    const step = Tensor.from(new Float32Array(dim), [1, dim, 1]).toSync(device);
    const cuSeqlens = new Int32Array(sequences + 1);
    cuSeqlens[sequences] = 1;
    const operands = { u: step, delta: step, A: matrix, B: matrix, C: matrix, cuSeqlens };
    const failure = { code: 'ERR_OUT_OF_MEMORY', about: '' };
    expectFailure(
      thrownBy(() => selectiveScanSync({ ...operands, returnLastState: true })),
      failure,
    );
    expectFailure(await rejectionOf(selectiveScan({ ...operands, returnLastState: true })), failure);
    expect(selectiveScanSync(tensorOptions(problem, device).options).device).toBe(device);
  });

  test('operands are not written to', async () => {
    const { options } = tensorOptions(randomCase({ initialState: true }), device);
    const operands = (['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState'] as const).map(
      (name) => options[name] as Tensor,
    );
    const values = (): Promise<ArrayLike<number>[]> => Promise.all(operands.map((operand) => operand.toArray()));
    const before = await values();
    await selectiveScan(options);
    expect(await values()).toEqual(before);
  });
});

describeOnGpus((device) => {
  test('a GPU says what it is', () => {
    const gpu = devices().find((each) => each.device === device);
    expect(gpu).toMatchObject({
      name: expect.stringMatching(/\S/),
      computeCapability: expect.stringMatching(/^\d+\.\d$/),
      driver: expect.stringMatching(/^\d+\.\d+$/),
    });
    expect((gpu as { memory: number }).memory).toBeGreaterThan(2 ** 30);
  });

  test('its roofs are measured', async () => {
    const { bytesPerSecond, exponentialsPerSecond } = await measureRoofs(device);
    expect(bytesPerSecond).toBeGreaterThan(5e10);
    expect(exponentialsPerSecond).toBeGreaterThan(1e11);
  });
});
