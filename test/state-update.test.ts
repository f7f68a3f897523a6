import { describe, expect, test } from '@jest/globals';
import { selectiveScanSync, selectiveStateUpdate, selectiveStateUpdateSync, type Tensor } from 'selective-scan';
import { callWithTensors, tensorOptions } from './support/call';
import { limitsOf, outBound, relativeError } from './support/closeness';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import { referenceScan } from './support/reference';
import { cut } from './support/scan-case';
import {
  callUpdate,
  outOfToken,
  tokenOf,
  type UpdateSpec,
  updateCase,
  updateComplaints,
  updateOptions,
} from './support/update-case';
import './support/patience';

type Row = [name: string, reason: string, spec: UpdateSpec];

const floats = ['float32', 'float16', 'bfloat16'] as const;

const kernels: Row[] = floats.flatMap((dtype) =>
  floats.flatMap((stateDType) =>
    [1, 5].map((tokens): Row => {
      return [`${dtype}, states ${stateDType}, ${tokens} tokens`, 'its own kernel', { dtype, stateDType, tokens }];
    }),
  ),
);

const manyRows: Row[] = floats.flatMap((dtype) =>
  floats.map((stateDType): Row => {
    const spec = { dtype, stateDType, batch: 9, dim: 5480, dstate: 4 };
    return [`${dtype}, states ${stateDType}, batch 9, dim 5480`, 'its own kernel, with four rows a thread', spec];
  }),
);

const sizes: Row[] = [
  ['dim 1', 'less than a vector of channels', { dim: 1 }],
  ['dim 17', 'one more than a vector of 16', { dim: 17 }],
  ['dim 1030', 'many blocks, the last in part', { dim: 1030 }],
  ['dstate 1', 'a lane is all there is', { dstate: 1, tokens: 2 }],
  ['dstate 2', 'fewer states than lanes', { dstate: 2, tokens: 2 }],
  ['dstate 7', 'no whole vector', { dstate: 7, tokens: 2 }],
  ['dstate 20', 'a vector and a part', { dstate: 20, tokens: 2 }],
  ['dstate 20, one token', 'lanes without states', { dstate: 20, groups: 3 }],
  ['dstate 4, dim 17, 16 bits', 'rows that no prefetch can begin at', { dstate: 4, dim: 17, stateDType: 'float16' }],
  ['dstate 64', 'several vectors', { dstate: 64, tokens: 2 }],
  ['dstate 128', 'as many as a warp holds', { dstate: 128, dim: 5, tokens: 2 }],
  ['dstate 128, one token', 'the same', { dstate: 128, dim: 5 }],
  ['dstate 300', 'more than a warp holds', { dstate: 300, dim: 5, tokens: 3 }],
  ['dstate 301', 'the same, unaligned', { dstate: 301, dim: 5, tokens: 3, stateDType: 'bfloat16' }],
  ['dstate 300, one token', 'nothing to keep between tokens', { dstate: 300, dim: 5, stateDType: 'float16' }],
  ['dstate 7, 16 bits', 'unaligned', { dstate: 7, dtype: 'bfloat16', stateDType: 'float16' }],
  ['16 tokens', 'a whole tile', { tokens: 16 }],
  ['40 tokens', 'two tiles and a part, with states not rounded between them', { tokens: 40, stateDType: 'bfloat16' }],
  ['40 tokens, dstate 20', 'the same, in part vectors', { tokens: 40, dstate: 20, stateDType: 'float16' }],
  ['batch 1', 'no rows to share a load of A', { batch: 1 }],
  ['batch 7', 'rows that fill no group', { batch: 7, tokens: 2 }],
  ['all sizes 1', 'the smallest problem', { batch: 1, dim: 1, dstate: 1 }],
  ['batch 9, dim 8200', 'threads that take several rows each', { batch: 9, dim: 8200, dtype: 'bfloat16' }],
  ['groups 3', 'several channels a group', { groups: 3, tokens: 2 }],
  ['groups 33', 'a channel a group', { groups: 33 }],
  ['explicit group', 'B and C with a group axis of 1', { explicitGroups: true, tokens: 2 }],
  ['no D', 'nothing to add', { D: false }],
  ['no z', 'no gate', { z: false }],
  ['no deltaBias', 'delta as it is', { deltaBias: false }],
  ['no deltaSoftplus', 'delta is the step', { deltaSoftplus: false }],
  ['none of them', 'the bare recurrence', { D: false, z: false, deltaBias: false, deltaSoftplus: false }],
  ['tiny steps', 'log(1 + e^x) taken naively is 1% wrong here', { deltaRange: [-20, -10], deltaBias: false, D: false }],
];

const slots: Row[] = [
  ['in another order', 'rows and slots are not the same', { batch: 4, slots: [2, 0, 3, 1] }],
  ['some of many', 'a pool with room', { batch: 3, slots: [9, 0, 4], poolSize: 11 }],
  ['one left out', 'a place in the batch that is free', { batch: 3, slots: [1, -1, 0], tokens: 2 }],
  ['all left out', 'nothing to do', { batch: 2, slots: [-1, -1] }],
  ['none there', 'an empty pool', { batch: 2, slots: [-1, -1], poolSize: 0 }],
  [
    '16 bits',
    'zeros of another size',
    { batch: 5, slots: [4, -1, 0, -1, 1], dtype: 'float16', stateDType: 'bfloat16' },
  ],
  [
    'many channels',
    'threads that take several rows each',
    { batch: 9, dim: 8200, slots: [8, 7, -1, 5, 4, 3, 2, 1, 0] },
  ],
];

const rows = [...kernels, ...manyRows, ...sizes];

describeOnEachDevice((device) => {
  test.each(rows)('%s: %s', async (_name, _reason, spec) => {
    const problem = updateCase(spec);
    for (const form of ['promise', 'sync'] as const) {
      expect(updateComplaints(problem, await callUpdate(problem, device, { form }))).toEqual([]);
    }
    expect(updateComplaints(problem, await callUpdate(problem, device, { returnStates: false }))).toEqual([]);
    if (spec.tokens !== undefined && spec.tokens !== 1) return;
    expect(updateComplaints(problem, await callUpdate(problem, device, { hasTokenAxis: false }))).toEqual([]);
  });

  describe.each(['array', 'cpu', 'device'] as const)('slots as %s', (slotsAs) => {
    test.each(slots)('%s: %s', async (_name, _reason, spec) => {
      const problem = updateCase(spec);
      for (const form of ['promise', 'sync'] as const) {
        for (const returnStates of [true, false]) {
          const call = { form, slotsAs, returnStates };
          expect(updateComplaints(problem, await callUpdate(problem, device, call))).toEqual([]);
        }
      }
    });
  });

  test('batch 0 gives an empty result', async () => {
    for (const problem of [updateCase({ batch: 0 }), updateCase({ batch: 0, slots: [], poolSize: 3 })]) {
      for (const form of ['promise', 'sync'] as const) {
        const got = await callUpdate(problem, device, { form });
        expect(got).toEqual({ out: new Float64Array(0), states: new Float64Array(0), pool: problem.pool });
      }
    }
  });

  test('batch 300000, more groups of rows than a grid axis has blocks', async () => {
    const problem = updateCase({ batch: 300_000, dim: 2, dstate: 4 });
    for (const returnStates of [true, false]) {
      expect(updateComplaints(problem, await callUpdate(problem, device, { returnStates }))).toEqual([]);
    }
  });

  test.each(floats)('a scan and then token after token equals one long scan, %s', async (dtype) => {
    const [prefix, all] = [50, 64];
    const problem = updateCase({ batch: 1, tokens: all, dtype });
    const { initialState: _, ...scan } = problem.scan;
    const want = await callWithTensors(scan, device, 'promise');
    const limits = limitsOf(scan, referenceScan(scan));
    const state = selectiveScanSync(tensorOptions(cut(scan, 0, 0, prefix), device).options).lastState as Tensor;
    const got = Float64Array.from(want.out);
    for (let t = prefix; t < all; t++) {
      const step = updateOptions(tokenOf(problem, t), device, { hasTokenAxis: false });
      const { out } = selectiveStateUpdateSync({ ...step, state });
      got.set(await out.toArray(), t * scan.dim);
    }
    const tail = prefix * scan.dim;
    expect(relativeError(got.subarray(tail), want.out.subarray(tail))).toBeLessThan(2 * limits.out);
    expect(relativeError(await state.toArray(), want.lastState)).toBeLessThan(2 * limits.lastState);
  });

  test.each(floats)('tokens in one call equal calls of one token, states %s', async (stateDType) => {
    const problem = updateCase({ tokens: 5, stateDType });
    const together = await callUpdate(problem, device);
    const options = updateOptions(problem, device);
    const call = { hasTokenAxis: false, returnStates: false };
    const steps = Array.from({ length: 5 }, (_, t) => updateOptions(tokenOf(problem, t), device, call));
    const results = steps.map((step) => selectiveStateUpdateSync({ ...step, state: options.state }));
    for (const [t, { out }] of results.entries()) {
      const limit = stateDType === 'float32' ? outBound.float32 : 4 * outBound[stateDType]; // rounded at each call
      const want = outOfToken(together.out, problem.scan, t);
      expect(relativeError(await out.toArray(), want)).toBeLessThan(limit);
    }
  });

  test('updates run in the order in which they were called, whichever their form', async () => {
    // Large enough that a promise is still under way when the next call is made.
    const problem = updateCase({ batch: 8, dim: 1030, tokens: 4 });
    const options = updateOptions(problem, device);
    const steps = Array.from({ length: 4 }, (_, t) => {
      const step = updateOptions(tokenOf(problem, t), device, { hasTokenAxis: false, returnStates: false });
      return { ...step, state: options.state };
    });
    const [first, second, third, fourth] = steps as [typeof options, typeof options, typeof options, typeof options];
    const promises = [selectiveStateUpdate(first), selectiveStateUpdate(second)];
    selectiveStateUpdateSync(third);
    promises.push(selectiveStateUpdate(fourth));
    const read = options.state.toArray();
    const pool = Float64Array.from(await read);
    await Promise.all(promises);
    const { out, states } = await callUpdate(problem, device);
    expect(updateComplaints(problem, { out, states, pool })).toEqual([]);
  });

  test('a state disposed in flight lives on until the call is done', async () => {
    const problem = updateCase({ batch: 8, dim: 1030 });
    const options = updateOptions(problem, device);
    const copy = options.state.toSync(device);
    const promise = selectiveStateUpdate(options);
    options.state.dispose();
    options.u.dispose();
    const { out, states } = await promise;
    selectiveStateUpdateSync({ ...updateOptions(problem, device), state: copy });
    const got = { out: await out.toArray(), states: await (states as Tensor).toArray(), pool: await copy.toArray() };
    const exact = Object.entries(got).map(([name, x]) => [name, Float64Array.from(x)]);
    expect(updateComplaints(problem, Object.fromEntries(exact))).toEqual([]);
  });

  test('an update that was aborted before touches no state', async () => {
    const problem = updateCase({});
    const options = updateOptions(problem, device);
    const rejection = await rejectionOf(selectiveStateUpdate({ ...options, signal: AbortSignal.abort() }));
    expectFailure(rejection, { code: 'ERR_ABORTED', about: '' });
    expect(Float64Array.from(await options.state.toArray())).toEqual(problem.pool);
  });

  test('operands but the state are not written to, and states are returned only on demand', async () => {
    const { returnStates: _, ...options } = updateOptions(updateCase({}), device);
    const { state: __, ...operands } = options;
    const tensors = Object.values(operands).filter((value) => typeof value === 'object') as Tensor[];
    const values = (): Promise<ArrayLike<number>[]> => Promise.all(tensors.map((tensor) => tensor.toArray()));
    const before = await values();
    const result = await selectiveStateUpdate(options);
    expect(await values()).toEqual(before);
    expect(result.states).toBeUndefined();
    expect(result).toMatchObject({ device, out: { device, dims: [2, 1, 33], dtype: 'float32' } });
  });

  test.each([1, 2])('NaN stays in its row and channel, %d tokens', async (tokens) => {
    const problem = updateCase({ batch: 5, dim: 37, tokens });
    const call = { returnStates: false };
    const clean = await callUpdate(problem, device, call);
    const u = Float64Array.from(problem.scan.u);
    const poisoned = (i: number): boolean => Math.floor(i / (37 * tokens)) === 3 && i % 37 === 18;
    for (let i = 0; i < u.length; i++) if (poisoned(i)) u[i] = Number.NaN;
    const { out } = await callUpdate({ ...problem, scan: { ...problem.scan, u } }, device, call);
    const wrong = Array.from(out.keys()).filter((i) => (poisoned(i) ? !Number.isNaN(out[i]) : out[i] !== clean.out[i]));
    expect(wrong).toEqual([]);
  });
});

describeOnGpus((device) => {
  const strays = [3, 2 ** 31 - 1, -2, -(2 ** 31)].flatMap((stray) => [1, 2].map((tokens) => [stray, tokens] as const));

  test.each(strays)('a slot that is not there, %d, on the GPU gives NaN, %d tokens', async (stray, tokens) => {
    const problem = updateCase({ batch: 6, slots: [2, -1, 0, -1, 1, -1], poolSize: 3, tokens });
    const call = { slotsAs: 'device', returnStates: tokens > 1 } as const;
    const got = await callUpdate({ ...problem, slots: [2, stray, 0, -1, 1, stray] }, device, call);
    for (const [b, slot] of [2, stray, 0, -1, 1, stray].entries()) {
      for (const x of [got.out, ...(got.states ? [got.states] : [])]) {
        const row = x.subarray((b * x.length) / 6, ((b + 1) * x.length) / 6);
        expect(row.every(Number.isNaN)).toBe(slot === stray);
        if (slot === stray) row.fill(0);
      }
    }
    expect(updateComplaints(problem, got)).toEqual([]);
  });

  test.each(rows)('CPU and GPU agree, %s: %s', async (_name, _reason, spec) => {
    const problem = updateCase(spec);
    const [onCpu, onGpu] = [await callUpdate(problem, 'cpu'), await callUpdate(problem, device)];
    const limit = 2 * limitsOf(problem.scan, referenceScan(problem.scan)).out;
    expect(relativeError(onGpu.out, onCpu.out)).toBeLessThan(limit);
  });
});
