import { describe, expect, test } from '@jest/globals';
import {
  causalConv1dSync,
  causalConv1dUpdate,
  causalConv1dUpdateSync,
  device as handleOf,
  type Tensor,
} from 'selective-scan';
import { relativeError } from './support/closeness';
import { type ConvCase, convCase, convLimit, convOptions, place, referenceConv } from './support/conv-case';
import {
  type ConvUpdateSpec,
  callConvUpdate,
  convUpdateCase,
  convUpdateComplaints,
  convUpdateOptions,
  expectedConvUpdate,
} from './support/conv-update-case';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import './support/patience';

type Row = [name: string, reason: string, spec: ConvUpdateSpec];

const floats = ['float32', 'float16', 'bfloat16'] as const;

const rows: Row[] = [
  ...floats.flatMap((dtype): Row[] => [
    [dtype, 'its own kernel', { dtype }],
    [`${dtype}, weights of it, 5 tokens`, 'more tokens than the state keeps', { dtype, weightDType: dtype, tokens: 5 }],
    ...[2, 3, 5, 6, 7, 8].map((width): Row => {
      return [`${dtype}, width ${width}, 3 tokens`, 'states shifted in part', { dtype, width, tokens: 3 }];
    }),
  ]),
  ['2 tokens', 'fewer than the state keeps', { tokens: 2 }],
  ['3 tokens', 'as many', { tokens: 3 }],
  ['40 tokens', 'many', { tokens: 40, width: 8 }],
  ['dim 1', 'less than a vector', { dim: 1 }],
  ['dim 16', 'a whole vector', { dim: 16, dtype: 'float16' }],
  ['dim 2500', 'many blocks', { dim: 2500 }],
  ['batch 1', 'a row alone', { batch: 1 }],
  ['all sizes 1', 'the smallest problem', { batch: 1, dim: 1, width: 2 }],
  ['no bias', 'sums from 0', { bias: false }],
  ['no silu', 'the sum itself', { silu: false }],
];

const slotRows: Row[] = [
  ['in another order', 'rows and slots are not the same', { batch: 4, slots: [2, 0, 3, 1] }],
  ['some of many', 'a pool with room', { batch: 3, slots: [9, 0, 4], poolSize: 11, width: 8 }],
  ['one left out', 'a place in the batch that is free', { batch: 3, slots: [1, -1, 0], tokens: 2 }],
  ['all left out', 'nothing to do', { batch: 2, slots: [-1, -1] }],
  ['none there', 'an empty pool', { batch: 2, slots: [-1, -1], poolSize: 0 }],
  ['16 bits', 'zeros of another size', { batch: 5, slots: [4, -1, 0, -1, 1], dtype: 'bfloat16' }],
];

describeOnEachDevice((device) => {
  test.each(rows)('%s: %s', async (_name, _reason, spec) => {
    const problem = convUpdateCase(spec);
    for (const form of ['promise', 'sync'] as const) {
      expect(convUpdateComplaints(problem, await callConvUpdate(problem, device, { form }))).toEqual([]);
    }
    if (spec.tokens !== undefined) return;
    expect(convUpdateComplaints(problem, await callConvUpdate(problem, device, { hasTokenAxis: false }))).toEqual([]);
  });

  describe.each(['array', 'cpu', 'device'] as const)('slots as %s', (slotsAs) => {
    test.each(slotRows)('%s: %s', async (_name, _reason, spec) => {
      const problem = convUpdateCase(spec);
      for (const form of ['promise', 'sync'] as const) {
        expect(convUpdateComplaints(problem, await callConvUpdate(problem, device, { form, slotsAs }))).toEqual([]);
      }
    });
  });

  test('batch 0 gives an empty result', async () => {
    for (const spec of [{ batch: 0 }, { batch: 0, slots: [], poolSize: 3 }]) {
      const problem = convUpdateCase(spec);
      expect(await callConvUpdate(problem, device)).toEqual({ out: new Float64Array(0), pool: problem.pool });
    }
  });

  test('batch 70000, more rows than a grid axis has blocks', async () => {
    const problem = convUpdateCase({ batch: 70_000, dim: 2, width: 2 });
    expect(convUpdateComplaints(problem, await callConvUpdate(problem, device))).toEqual([]);
  });

  test.each(floats)('a convolution and then its tokens give the bits of one long one, %s', async (dtype) => {
    for (const width of [2, 4, 8]) {
      const whole = convCase({ batch: 2, dim: 40, seqlen: 30, dtype, width, layout: 'bld' });
      const long = causalConv1dSync(convOptions(whole, device));
      const want = await long.out.toArray();
      const at = (out: ArrayLike<number>, from: number, to: number): number[] =>
        [0, 1].flatMap((b) => Array.prototype.slice.call(out, (b * 30 + from) * 40, (b * 30 + to) * 40));
      const prefix = convCase({ batch: 2, dim: 40, seqlen: 17, dtype, width, layout: 'bld' });
      const start = { ...prefix, ...pick(whole), x: Float64Array.from(at(whole.x, 0, 17)) };
      const { x: _, initialState: __, returnFinalState: ___, layout: ____, ...rest } = convOptions(start, device);
      const state = causalConv1dSync(convOptions(start, device)).finalState as Tensor;
      for (const [from, to] of [
        [17, 18],
        [18, 20],
        [20, 29],
        [29, 30],
      ] as const) {
        const x = place(at(whole.x, from, to), [2, to - from, 40], dtype, device);
        const { out } = causalConv1dUpdateSync({ ...rest, state, x });
        expect([...(await out.toArray())]).toEqual(at(want, from, to));
      }
      expect(await state.toArray()).toEqual(await (long.finalState as Tensor).toArray());
    }
  });

  test('updates run in the order in which they were called, whichever their form', async () => {
    const problem = convUpdateCase({ batch: 64, dim: 1030, tokens: 4 });
    const { conv } = problem;
    const { x, ...options } = convUpdateOptions(problem, device);
    x.dispose();
    const tokens = [0, 1, 2, 3].map((t) => {
      const values = Array.from({ length: 64 }, (_, b) => [
        ...conv.x.subarray((b * 4 + t) * 1030, (b * 4 + t + 1) * 1030),
      ]);
      return place(values.flat(), [64, 1030], 'float32', device);
    }) as [Tensor, Tensor, Tensor, Tensor];
    const promises = [
      causalConv1dUpdate({ ...options, x: tokens[0] }),
      causalConv1dUpdate({ ...options, x: tokens[1] }),
    ];
    causalConv1dUpdateSync({ ...options, x: tokens[2] });
    promises.push(causalConv1dUpdate({ ...options, x: tokens[3] }));
    expect(Float64Array.from(await options.state.toArray())).toEqual(expectedConvUpdate(problem).pool);
    await Promise.all(promises);
  });

  test('captured, a replay is a token further', async () => {
    const problem = convUpdateCase({ slots: [1, 0] });
    const [captured, plain] = [convUpdateOptions(problem, device), convUpdateOptions(problem, device)];
    let out: Tensor | undefined;
    using graph = handleOf(device).capture(() => {
      out = causalConv1dUpdateSync(captured).out;
    });
    for (let step = 0; step < 3; step++) {
      graph.replay();
      expect(await (out as Tensor).toArray()).toEqual(await causalConv1dUpdateSync(plain).out.toArray());
    }
    expect(await captured.state.toArray()).toEqual(await plain.state.toArray());
  });

  test('an update that was aborted before touches no state', async () => {
    const problem = convUpdateCase({});
    const options = convUpdateOptions(problem, device);
    const rejection = await rejectionOf(causalConv1dUpdate({ ...options, signal: AbortSignal.abort() }));
    expectFailure(rejection, { code: 'ERR_ABORTED', about: '' });
    expect(Float64Array.from(await options.state.toArray())).toEqual(problem.pool);
  });
});

/** What two problems of the same channels share. */
function pick({ weight, bias, initialState }: ConvCase): Partial<ConvCase> {
  return { weight, ...(bias && { bias }), ...(initialState && { initialState }) };
}

describeOnGpus((device) => {
  const strays = [3, 2 ** 31 - 1, -2, -(2 ** 31)].flatMap((stray) => [1, 2].map((tokens) => [stray, tokens] as const));

  test.each(strays)('a slot that is not there, %d, on the GPU gives NaN, %d tokens', async (stray, tokens) => {
    const problem = convUpdateCase({ batch: 6, slots: [2, -1, 0, -1, 1, -1], poolSize: 3, tokens });
    const slots = [2, stray, 0, -1, 1, stray];
    const got = await callConvUpdate({ ...problem, slots }, device, { slotsAs: 'device' });
    for (const [b, slot] of slots.entries()) {
      const row = got.out.subarray((b * got.out.length) / 6, ((b + 1) * got.out.length) / 6);
      expect(row.every(Number.isNaN)).toBe(slot === stray);
      if (slot === stray) row.fill(0);
    }
    expect(convUpdateComplaints(problem, got)).toEqual([]);
  });

  test.each(rows)('CPU and GPU agree, %s: %s', async (_name, _reason, spec) => {
    const problem = convUpdateCase(spec);
    const [onCpu, onGpu] = [await callConvUpdate(problem, 'cpu'), await callConvUpdate(problem, device)];
    const limit = 2 * convLimit(problem.conv, referenceConv(problem.conv));
    expect(relativeError(onGpu.out, onCpu.out)).toBeLessThanOrEqual(limit);
    expect(onGpu.pool).toEqual(onCpu.pool);
  });
});
