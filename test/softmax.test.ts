import { describe, expect, test } from '@jest/globals';
import {
  type DType,
  device as deviceOf,
  logSoftmax,
  logSoftmaxSync,
  type SoftmaxOptions,
  softmax,
  softmaxSync,
  type Tensor,
} from 'selective-scan';
import { outBound, relativeError } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import { expectBothRefuse, expectFailure, type LooseOptions, thrownBy } from './support/failures';
import { type FloatType, roundTo } from './support/rounding';
import { referenceSoftmax } from './support/row-references';
import { normals, placed, taken } from './support/rows';
import './support/patience';

interface Problem {
  leading: number[];
  n: number;
  dtype: FloatType;
  outDType: FloatType;
  scale: number;
}

type Row = [name: string, reason: string, change: Partial<Problem>];

const base: Problem = { leading: [3], n: 100, dtype: 'float32', outDType: 'float32', scale: 2 };
const floats = ['float32', 'float16', 'bfloat16'] as const;

const rows: Row[] = [
  ...floats.flatMap((dtype) =>
    floats.map((outDType): Row => [`${dtype}, out ${outDType}`, 'a kernel', { dtype, outDType }]),
  ),
  ...[1, 7, 8, 17, 1024, 8192, 8200, 10_001, 50_280, 100_003].map((n): Row => {
    return [`n ${n}`, 'whole and part vectors, in one pass or in several', { n, dtype: 'bfloat16' }];
  }),
  ['one axis', 'a single row', { leading: [] }],
  ['four axes', 'rows of several axes', { leading: [2, 1, 3] }],
  ['1000 rows', 'several threads', { leading: [1000] }],
  ['70000 rows', 'more than a grid axis has blocks', { leading: [70_000], n: 16 }],
  ['equal logits', 'a flat distribution', { scale: 0, n: 3000 }],
  ['far apart', 'most exponentials vanish', { scale: 100 }],
  ['very far apart', 'exponents beyond the range of float32', { scale: 1e30 }],
];

const forms = {
  softmax: { promise: softmax, sync: softmaxSync, isLog: false },
  logSoftmax: { promise: logSoftmax, sync: logSoftmaxSync, isLog: true },
};

describe.each(Object.entries(forms))('%s', (_op, { promise, sync, isLog }) => {
  describeOnEachDevice((device) => {
    test.each(rows)('%s: %s', async (_name, _reason, change) => {
      const { leading, n, dtype, outDType, scale } = { ...base, ...change };
      const values = normals(
        leading.reduce((product, size) => product * size, n),
        dtype,
        5,
        scale,
      );
      const want = referenceSoftmax(values, n, isLog);
      const x = placed(values, [...leading, n], dtype, device);
      // Where a few probabilities are all there is, the bound may be less than what rounding them costs.
      const rounded = want.map((value) => roundTo(outDType, value));
      const limit = Math.max(outBound[outDType], 1.01 * relativeError(rounded, want));
      for (const { out, device: where } of [await promise({ x, dtype: outDType }), sync({ x, dtype: outDType })]) {
        expect(where).toBe(device);
        expect(out.dims).toEqual([...leading, n]);
        expect(out.dtype).toBe(outDType);
        expect(relativeError(await taken(out), want)).toBeLessThan(limit);
      }
    });

    test('out is float32 by default', () => {
      expect(sync({ x: placed([1, 2], [2], 'bfloat16', device) }).out.dtype).toBe('float32');
    });

    test.each([100, 5000, 20_000])('a row of %d is the same bits alone and among others', async (n) => {
      const values = normals(9 * n, 'float16', 3);
      const all = await taken(sync({ x: placed(values, [9, n], 'float16', device) }).out);
      for (const row of [0, 4, 8]) {
        const alone = placed(values.subarray(row * n, (row + 1) * n), [n], 'float16', device);
        expect(await taken(sync({ x: alone }).out)).toEqual(all.slice(row * n, (row + 1) * n));
      }
    });

    // Lengths of one vector and a part, and beyond what a GPU keeps on chip.
    test.each([11, 9001])('NaN and infinities stay in their rows, n %d', async (n) => {
      const [nan, infinity] = [Number.NaN, Number.POSITIVE_INFINITY];
      const values = new Float64Array(6 * n).fill(1);
      values[n - 1] = nan;
      values[n] = infinity;
      values.fill(-infinity, 2 * n, 4 * n);
      values[4 * n - 1] = 3;
      values[4 * n] = -infinity;
      const out = await taken(sync({ x: placed(values, [6, n], 'float32', device) }).out);
      const row = (i: number): number[] => [...out.subarray(i * n, (i + 1) * n)];
      expect([row(0), row(1), row(2)].flat().every(Number.isNaN)).toBe(true);
      const [none, all] = isLog ? [-infinity, 0] : [0, 1];
      expect(row(3)).toEqual([...new Array(n - 1).fill(none), all]);
      expect(row(4)[0]).toBe(none);
      const rest = referenceSoftmax(values.slice(4 * n + 1, 5 * n), n - 1, isLog);
      expect(relativeError(row(4).slice(1), rest)).toBeLessThan(outBound.float32);
    });

    test('no rows, and rows of nothing, give an empty result', async () => {
      for (const dims of [
        [0, 5],
        [5, 0],
      ]) {
        const { out } = await promise({ x: placed([], dims, 'float16', device) });
        expect(out.dims).toEqual(dims);
      }
    });

    test('a captured call does at its replay what the call does', async () => {
      const options: SoftmaxOptions = { x: placed(normals(300, 'float32'), [3, 100], 'float32', device) };
      using graph = deviceOf(device).capture(() => sync(options));
      options.x.copyFromSync(Float32Array.from({ length: 300 }, (_, i) => Math.sin(i)));
      graph.replay();
      expect(await graph.outputs.out.toArray()).toEqual(await sync(options).out.toArray());
    });
  });

  describe('wrong arguments are refused', () => {
    const zeros = (dims: number[], dtype: DType = 'float32'): Tensor =>
      placed(new Array(dims.reduce((product, size) => product * size, 1)).fill(0), dims, dtype, 'cpu');
    const disposed = (): Tensor => {
      const tensor = zeros([2, 3]);
      tensor.dispose();
      return tensor;
    };
    const wrong: [what: string, options: () => LooseOptions, code: string, about: string][] = [
      ['no x', () => ({}), 'ERR_DTYPE', 'x'],
      ['a typed array', () => ({ x: new Float32Array(6) }), 'ERR_DTYPE', 'x to be a Tensor but received a typed array'],
      ['integers', () => ({ x: zeros([2, 3], 'int32') }), 'ERR_DTYPE', 'x'],
      ['complex numbers', () => ({ x: zeros([0, 3], 'complex64') }), 'ERR_DTYPE', 'x'],
      ['no axes', () => ({ x: zeros([]) }), 'ERR_SHAPE', 'x'],
      ['a dtype of integers', () => ({ x: zeros([2]), dtype: 'int32' }), 'ERR_DTYPE', 'dtype'],
      ['an unknown option', () => ({ x: zeros([2]), axis: 0 }), 'ERR_OPTION', "'axis'"],
      ['another device', () => ({ x: zeros([2]), device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
      ['a disposed tensor', () => ({ x: disposed() }), 'ERR_DISPOSED', 'x'],
    ];

    test.each(wrong)('%s', async (_what, options, code, about) => {
      await expectBothRefuse(options(), { code, about }, { promise, sync });
    });

    test('a signal in the blocking form', () => {
      const act = () => sync({ x: zeros([2]), signal: new AbortController().signal } as any);
      expectFailure(thrownBy(act), { code: 'ERR_OPTION', about: 'signal' });
    });
  });
});
