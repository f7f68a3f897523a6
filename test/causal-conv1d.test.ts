import { describe, expect, test } from '@jest/globals';
import { causalConv1d, causalConv1dSync, type Tensor } from 'selective-scan';
import { relativeError } from './support/closeness';
import {
  type ConvCase,
  type ConvSpec,
  callConv,
  convCase,
  convComplaints,
  convIndex,
  convLimit,
  convOptions,
  convSequences,
  convStateOf,
  cutConv,
  pasteConv,
  referenceConv,
} from './support/conv-case';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import './support/patience';

type Row = [name: string, reason: string, spec: ConvSpec];

const floats = ['float32', 'float16', 'bfloat16'] as const;
const layouts = ['bdl', 'bld'] as const;

const kernels: Row[] = floats.flatMap((dtype): Row[] => [
  [dtype, 'its own kernel', { dtype }],
  [`${dtype}, weights of it`, 'widened once', { dtype, weightDType: dtype }],
  ...[2, 3, 5, 6, 7, 8].map((width): Row => [`${dtype}, width ${width}`, 'filters of any width', { dtype, width }]),
]);

const sizes: Row[] = [
  ['dim 1', 'less than a vector of channels', { dim: 1 }],
  ['dim 16', 'a whole vector', { dim: 16 }],
  ['dim 17, 16 bits', 'rows that no vector of memory begins at', { dim: 17, dtype: 'bfloat16' }],
  ['dim 1030', 'more channels than a piece has', { dim: 1030, seqlen: 20 }],
  ['seqlen 0', 'only states', { seqlen: 0 }],
  ['seqlen 1', 'a step, of which the final state keeps two before', { seqlen: 1 }],
  ['seqlen 2', 'shorter than the state', { seqlen: 2 }],
  ['seqlen 3', 'as long as the state', { seqlen: 3 }],
  ['seqlen 5, width 8', 'shorter than the state', { seqlen: 5, width: 8 }],
  ['seqlen 7, width 8', 'as long as the state', { seqlen: 7, width: 8, dtype: 'float16' }],
  ['seqlen 64', 'whole vectors of time', { seqlen: 64, dtype: 'float16' }],
  ['seqlen 2048', 'many vectors of time', { seqlen: 2048, dim: 8, dtype: 'bfloat16' }],
  ['one long row', 'time that has to be shared out', { batch: 1, dim: 1, seqlen: 100_003 }],
  ['few long rows, 16 bits', 'the same', { batch: 1, dim: 4, seqlen: 50_000, dtype: 'float16' }],
  ['batch 0', 'nothing to do', { batch: 0 }],
  ['all sizes 1', 'the smallest problem', { batch: 1, dim: 1, seqlen: 1, width: 2 }],
  ['no bias', 'sums from 0', { bias: false }],
  ['no initial state', 'zeros before the start', { initialState: false }],
  ['no silu', 'the sum itself', { silu: false }],
  ['none of them', 'the bare convolution', { bias: false, initialState: false, silu: false, dtype: 'bfloat16' }],
];

const packings: Row[] = [
  ['one sequence', 'as without', { seqlen: 65, cuSeqlens: [0, 65] }],
  ['empty first, inside and last', 'states that stay', { seqlen: 65, cuSeqlens: [0, 0, 20, 20, 20, 64, 65, 65] }],
  ['all empty', 'no step at all', { seqlen: 0, cuSeqlens: [0, 0, 0, 0] }],
  ['one step each', 'all of it history', { seqlen: 9, cuSeqlens: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }],
  ['shorter than the state', 'states in part', { seqlen: 20, width: 8, cuSeqlens: [0, 6, 8, 9, 14, 20] }],
  ['without states', 'zeros', { seqlen: 65, initialState: false, cuSeqlens: [0, 3, 3, 5, 47, 65] }],
  ['16 bits', 'two sequences in a vector', { seqlen: 64, dim: 16, dtype: 'bfloat16', cuSeqlens: [0, 8, 13, 30, 64] }],
  ['many', 'more than a strip of time has', { seqlen: 600, cuSeqlens: Array.from({ length: 301 }, (_, s) => 2 * s) }],
  [
    'more than steps',
    'runs of empty ones',
    { seqlen: 3, cuSeqlens: [...Array(200).fill(0), 1, ...Array(200).fill(3)] },
  ],
  ['one long among short ones', 'time shared out', { dim: 2, seqlen: 60_000, cuSeqlens: [0, 5, 59_990, 60_000] }],
];

const packed = packings.map(([name, reason, spec]): Row => [`packed, ${name}`, reason, { batch: 1, ...spec }]);
const rows = [...kernels, ...sizes, ...packed];

describeOnEachDevice((device) => {
  describe.each(layouts)('%s', (layout) => {
    test.each(rows)('%s: %s', async (_name, _reason, spec) => {
      const problem = convCase({ ...spec, layout });
      expect(convComplaints(problem, await callConv(problem, device, 'promise'))).toEqual([]);
      expect(convComplaints(problem, await callConv(problem, device, 'sync'))).toEqual([]);
    });

    test.each(floats)('a call goes on where another stopped, to the bit, %s', async (dtype) => {
      for (const width of [2, 4, 8]) {
        const problem = convCase({ dtype, width, seqlen: 130, layout });
        const whole = await callConv(problem, device);
        for (const point of [1, 2, 3, 7, 8, 63, 64, 65, 128, 129]) {
          const joined = new Float64Array(whole.out.length);
          for (let b = 0; b < problem.batch; b++) {
            const state = convStateOf(problem, problem.initialState as Float64Array, b);
            const first = await callConv(cutConv(problem, b, 0, point, state), device);
            const second = await callConv(cutConv(problem, b, point, 130, first.finalState), device);
            pasteConv(joined, problem, b, 0, first.out);
            pasteConv(joined, problem, b, point, second.out);
            expect(second.finalState).toEqual(convStateOf(problem, whole.finalState, b));
          }
          expect(joined).toEqual(whole.out);
        }
      }
    });

    test.each(packed)('equals its parts to the bit, %s', async (_name, _reason, spec) => {
      const problem = convCase({ ...spec, layout });
      const whole = await callConv(problem, device);
      const joined = new Float64Array(whole.out.length);
      // All of the many would be as many calls.
      for (const [s, { from, to }] of convSequences(problem).slice(0, 20).entries()) {
        const state = problem.initialState && convStateOf(problem, problem.initialState, s);
        const part = await callConv(cutConv(problem, s, 0, to - from, state), device);
        pasteConv(joined, problem, s, 0, part.out);
        expect(part.finalState).toEqual(convStateOf(problem, whole.finalState, s));
      }
      const last = convSequences(problem).slice(0, 20).at(-1)?.to as number;
      const outOf = (out: Float64Array): Float64Array =>
        cutConv({ ...problem, x: out, cuSeqlens: [0, last] }, 0, 0, last).x;
      expect(outOf(joined)).toEqual(outOf(whole.out));
    });

    const neighbours: [string, ConvSpec, (b: number, d: number, t: number) => boolean][] = [
      ['batch entries', { batch: 5, dim: 17 }, (b) => b === 2],
      ['channels', { batch: 2, dim: 37 }, (_b, d) => d === 18],
      ['packed sequences', { batch: 1, cuSeqlens: [0, 9, 40, 65] }, (_b, _d, t) => t >= 9 && t < 40],
      ['steps before, nor beyond the filter', { batch: 2 }, (_b, _d, t) => t >= 30 && t < 34],
    ];

    test.each(neighbours)('NaN does not reach other %s', async (_name, change, isPoisoned) => {
      for (const width of [3, 4]) {
        const problem = convCase({ ...change, width, layout });
        const poisoned = { ...problem, x: Float64Array.from(problem.x) };
        for (let b = 0; b < problem.batch; b++) {
          for (let d = 0; d < problem.dim; d++) {
            for (let t = 0; t < problem.seqlen; t++) {
              if (isPoisoned(b, d, t)) poisoned.x[convIndex(problem, b, d, t)] = Number.NaN;
            }
          }
        }
        const want = referenceConv(poisoned).out;
        const clean = await callConv(problem, device);
        const { out } = await callConv(poisoned, device);
        const expected = clean.out.map((y, i) => (Number.isNaN(want[i]) ? Number.NaN : y));
        expect(expected.some(Number.isNaN)).toBe(true);
        expect(out).toEqual(expected);
      }
    });
  });

  test.each(floats)('both layouts give the same bits, %s', async (dtype) => {
    const problem = convCase({ dtype, dim: 20, seqlen: 77 });
    const turned: ConvCase = { ...problem, layout: 'bld', x: new Float64Array(problem.x.length) };
    const turn = (from: Float64Array): Float64Array => {
      const to = new Float64Array(from.length);
      for (let b = 0; b < 2; b++) {
        for (let d = 0; d < 20; d++) {
          for (let t = 0; t < 77; t++) to[convIndex(turned, b, d, t)] = from[convIndex(problem, b, d, t)] as number;
        }
      }
      return to;
    };
    turned.x = turn(problem.x);
    const [bdl, bld] = [await callConv(problem, device), await callConv(turned, device)];
    expect(bld.out).toEqual(turn(bdl.out));
    expect(bld.finalState).toEqual(bdl.finalState);
  });

  test('a final state is returned only on demand, and operands are not written to', async () => {
    const { returnFinalState: _, ...options } = convOptions(convCase({}), device);
    const tensors = [options.x, options.weight, options.bias, options.initialState] as Tensor[];
    const values = (): Promise<ArrayLike<number>[]> => Promise.all(tensors.map((tensor) => tensor.toArray()));
    const before = await values();
    const result = await causalConv1d(options);
    expect(await values()).toEqual(before);
    expect(result.finalState).toBeUndefined();
    expect(result).toMatchObject({ device, out: { device, dims: [2, 33, 65], dtype: 'float32' } });
  });

  test('infinite and huge inputs are not lost in silu', () => {
    const x = [-1e30, -200, -100, -80, 80, 100, 1e30];
    const c = {
      ...convCase({ batch: 1, dim: 1, seqlen: 7, width: 2, bias: false, initialState: false }),
      x: Float64Array.from(x),
    };
    c.weight = Float64Array.of(0, 1);
    const out = causalConv1dSync(convOptions(c, device)).out.toArraySync();
    for (const [i, value] of x.entries()) {
      const want = value < -90 ? 0 : value / (1 + Math.exp(-value));
      expect(Math.abs((out[i] as number) - want)).toBeLessThanOrEqual(1e-5 * Math.abs(want) + 1e-37);
    }
  });

  test('a call that was aborted before', async () => {
    const options = { ...convOptions(convCase({}), device), signal: AbortSignal.abort() };
    expectFailure(await rejectionOf(causalConv1d(options)), { code: 'ERR_ABORTED', about: '' });
  });
});

describeOnGpus((device) => {
  describe.each(layouts)('%s', (layout) => {
    test.each(rows)('CPU and GPU agree, %s: %s', async (_name, _reason, spec) => {
      const problem = convCase({ ...spec, layout });
      const [onCpu, onGpu] = [await callConv(problem, 'cpu'), await callConv(problem, device)];
      expect(relativeError(onGpu.out, onCpu.out)).toBeLessThanOrEqual(2 * convLimit(problem, referenceConv(problem)));
      expect(onGpu.finalState).toEqual(onCpu.finalState);
    });
  });
});
