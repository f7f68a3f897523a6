import { describe, expect, test } from '@jest/globals';
import { type DType, device as deviceOf, rmsNorm, rmsNormSync, type Tensor } from 'selective-scan';
import { outBound, relativeError } from './support/closeness';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { expectBothRefuse, expectFailure, type LooseOptions, thrownBy } from './support/failures';
import type { FloatType } from './support/rounding';
import { referenceRmsNorm } from './support/row-references';
import { normals, placed, taken } from './support/rows';
import './support/patience';

interface Problem {
  leading: number[];
  dim: number;
  dtype: FloatType;
  weightDType: FloatType;
  outDType: FloatType;
  residual: boolean;
  eps: number;
  scale: number;
}

type Row = [name: string, reason: string, change: Partial<Problem>];

const base: Problem = {
  leading: [3],
  dim: 96,
  dtype: 'float32',
  weightDType: 'float32',
  outDType: 'float32',
  residual: true,
  eps: 1e-5,
  scale: 1,
};

const floats = ['float32', 'float16', 'bfloat16'] as const;

const dtypes: Row[] = floats.flatMap((dtype) =>
  [...new Set<FloatType>(['float32', dtype])].flatMap((weightDType) =>
    floats.map((outDType): Row => {
      return [`${dtype}, weight ${weightDType}, out ${outDType}`, 'a kernel', { dtype, weightDType, outDType }];
    }),
  ),
);

const sizes: Row[] = [1, 7, 8, 17, 40, 768, 2560, 2561, 5120, 8192, 8200, 10_001, 70_000].flatMap((dim) =>
  (['float32', 'bfloat16'] as const).map((dtype): Row => {
    return [`dim ${dim}, ${dtype}`, 'whole and part vectors, in one pass or in several', { dim, dtype }];
  }),
);

const others: Row[] = [
  ['no residual', 'x as it is', { residual: false }],
  ['no residual, bfloat16', 'x widened', { residual: false, dtype: 'bfloat16' }],
  ['one axis', 'a single row', { leading: [] }],
  ['four axes', 'rows of several axes', { leading: [2, 1, 3] }],
  ['1000 rows', 'several threads', { leading: [1000], dim: 300 }],
  ['70000 rows', 'more than a grid axis has blocks', { leading: [70_000], dim: 16 }],
  ['a large eps', 'it is inside the root', { eps: 3 }],
  ['eps 0', 'the mean square alone', { eps: 0 }],
  ['tiny values', 'eps outweighs them', { scale: 1e-4 }],
  ['large values', 'squares far from 1', { scale: 1e8, residual: false }],
];

function valuesOf({ leading, dim, dtype, weightDType, residual, scale }: Problem) {
  const count = leading.reduce((product, size) => product * size, dim);
  return {
    x: normals(count, dtype, 1, scale),
    weight: normals(dim, weightDType, 2).map(Math.abs),
    residual: residual ? normals(count, 'float32', 3, scale) : undefined,
  };
}

function optionsOf(problem: Problem, device: string) {
  const { leading, dim, dtype, weightDType, outDType, eps } = problem;
  const { x, weight, residual } = valuesOf(problem);
  return {
    x: placed(x, [...leading, dim], dtype, device),
    weight: placed(weight, [dim], weightDType, device),
    ...(residual && { residual: placed(residual, [...leading, dim], 'float32', device) }),
    eps,
    dtype: outDType,
  };
}

describeOnEachDevice((device) => {
  test.each([...dtypes, ...sizes, ...others])('%s: %s', async (_name, _reason, change) => {
    const problem = { ...base, ...change };
    const { x, weight, residual } = valuesOf(problem);
    const want = referenceRmsNorm(x, residual, weight, problem.eps);
    const options = optionsOf(problem, device);
    const results = [await rmsNorm({ ...options, returnResidual: true }), rmsNormSync(options)];
    expect(results[1]?.residual).toBeUndefined();
    for (const { out, residual: sum, device: where } of results) {
      expect(where).toBe(device);
      expect(out.dims).toEqual([...problem.leading, problem.dim]);
      expect(out.dtype).toBe(problem.outDType);
      expect(relativeError(await taken(out), want.out)).toBeLessThan(outBound[problem.outDType]);
      if (sum) expect(await taken(sum)).toEqual(want.sum.map(Math.fround));
    }
  });

  test("by default out is of x's dtype and eps 1e-5", async () => {
    const problem = { ...base, dtype: 'bfloat16', outDType: 'bfloat16', scale: 1e-3 } as const;
    const { eps: _, dtype: __, ...options } = optionsOf(problem, device);
    const { out } = rmsNormSync(options);
    expect(out.dtype).toBe('bfloat16');
    expect(await taken(out)).toEqual(await taken(rmsNormSync(optionsOf(problem, device)).out));
  });

  test.each([96, 2560, 9000])('a row of %d is the same bits alone and among others', async (dim) => {
    const problem = { ...base, leading: [37], dim, residual: false, dtype: 'bfloat16', outDType: 'float32' } as const;
    const options = optionsOf({ ...problem, leading: [37] }, device);
    const all = await taken(rmsNormSync(options).out);
    const { x } = valuesOf({ ...problem, leading: [37] });
    for (const row of [0, 17, 36]) {
      const alone = placed(x.subarray(row * dim, (row + 1) * dim), [dim], 'bfloat16', device);
      const { out } = rmsNormSync({ ...options, x: alone });
      expect(await taken(out)).toEqual(all.slice(row * dim, (row + 1) * dim));
    }
  });

  test('NaN, infinity and zeros stay in their rows', async () => {
    const nan = Number.NaN;
    const x = placed([2, 2, 2, nan, 1, 1, Number.POSITIVE_INFINITY, 1, 1, 0, 0, 0], [4, 3], 'float32', device);
    const options = { x, weight: placed([1, 2, 4], [3], 'float32', device) };
    expect(await taken(rmsNormSync({ ...options, eps: 12 }).out)).toEqual(
      Float64Array.of(0.5, 1, 2, nan, nan, nan, nan, 0, 0, 0, 0, 0),
    );
    expect(await taken(rmsNormSync({ ...options, eps: 0 }).out)).toEqual(
      Float64Array.of(1, 2, 4, nan, nan, nan, nan, 0, 0, nan, nan, nan),
    );
  });

  test('no rows give an empty result', async () => {
    const options = {
      x: placed([], [0, 5], 'float16', device),
      weight: placed([1, 1, 1, 1, 1], [5], 'float32', device),
    };
    const { out, residual } = await rmsNorm({ ...options, returnResidual: true });
    expect([out.dims, residual?.dims]).toEqual([
      [0, 5],
      [0, 5],
    ]);
  });

  test('a captured call does at its replay what the call does', async () => {
    const options = { ...optionsOf(base, device), returnResidual: true };
    using graph = deviceOf(device).capture(() => rmsNormSync(options));
    options.x.copyFromSync(new Float32Array(options.x.size).fill(2));
    graph.replay();
    const want = rmsNormSync(options);
    expect(await graph.outputs.out.toArray()).toEqual(await want.out.toArray());
    expect(await graph.outputs.residual?.toArray()).toEqual(await want.residual?.toArray());
  });
});

function zeros(dims: number[], dtype: DType = 'float32'): Tensor {
  return placed(new Array(dims.reduce((product, size) => product * size, 1)).fill(0), dims, dtype, 'cpu');
}

describe('wrong arguments are refused', () => {
  const forms = { promise: rmsNorm, sync: rmsNormSync };
  const given = (change: LooseOptions): LooseOptions => ({ x: zeros([2, 3]), weight: zeros([3]), ...change });
  const rows: [what: string, change: () => LooseOptions, code: string, about: string][] = [
    ['no x', () => ({ x: undefined }), 'ERR_DTYPE', 'Expected x to be a Tensor but received undefined.'],
    ['a typed array', () => ({ x: new Float32Array(6) }), 'ERR_DTYPE', 'but received a typed array'],
    ['x of integers', () => ({ x: zeros([2, 3], 'int32') }), 'ERR_DTYPE', 'x'],
    ['x without axes', () => ({ x: zeros([]) }), 'ERR_SHAPE', 'x to have the axes [..., dim]'],
    ['no channels', () => ({ x: zeros([2, 0]), weight: zeros([0]) }), 'ERR_SHAPE', 'dim'],
    ['no weight', () => ({ weight: undefined }), 'ERR_DTYPE', 'weight'],
    ['a weight of another dim', () => ({ weight: zeros([4]) }), 'ERR_SHAPE', 'weight to have shape [dim] = [3]'],
    ['a weight of a dtype of its own', () => ({ weight: zeros([3], 'float16') }), 'ERR_DTYPE', 'weight'],
    [
      'a residual of another shape',
      () => ({ residual: zeros([3, 2]) }),
      'ERR_SHAPE',
      'residual to have shape [..., dim] = [2, 3] but received [3, 2]',
    ],
    ['a residual of half precision', () => ({ residual: zeros([2, 3], 'bfloat16') }), 'ERR_DTYPE', 'residual'],
    ['eps below 0', () => ({ eps: -1e-9 }), 'ERR_OPTION', 'eps'],
    ['eps NaN', () => ({ eps: Number.NaN }), 'ERR_OPTION', 'eps'],
    ['eps without end', () => ({ eps: Number.POSITIVE_INFINITY }), 'ERR_OPTION', 'eps'],
    ['eps as text', () => ({ eps: '1e-5' }), 'ERR_OPTION', 'eps'],
    ['a dtype of integers', () => ({ dtype: 'int32' }), 'ERR_DTYPE', 'dtype'],
    ['returnResidual as a number', () => ({ returnResidual: 1 }), 'ERR_OPTION', 'returnResidual'],
    ['an unknown option', () => ({ epsilon: 1 }), 'ERR_OPTION', "'epsilon'"],
    ['another device', () => ({ device: 'cuda:0' }), 'ERR_DEVICE', 'cuda:0'],
    ['a stream that is none', () => ({ stream: 1 }), 'ERR_OPTION', 'stream'],
  ];

  test.each(rows)('%s', async (_what, change, code, about) => {
    await expectBothRefuse(given(change()), { code, about }, forms);
  });

  test('a disposed tensor', async () => {
    const x = zeros([2, 3]);
    x.dispose();
    await expectBothRefuse(given({ x }), { code: 'ERR_DISPOSED', about: 'x' }, forms);
  });

  test('a signal in the blocking form', () => {
    const act = () => rmsNormSync(given({ signal: new AbortController().signal }) as any);
    expectFailure(thrownBy(act), { code: 'ERR_OPTION', about: 'signal' });
  });
});

describeOnGpus((device) => {
  test('tensors of two devices are refused', async () => {
    const options = { x: zeros([2, 3]).toSync(device), weight: zeros([3]) };
    await expectBothRefuse(options, { code: 'ERR_DEVICE', about: 'weight' }, { promise: rmsNorm, sync: rmsNormSync });
  });
});
