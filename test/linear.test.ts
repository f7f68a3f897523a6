import { describe, expect, test } from '@jest/globals';
import { device as deviceOf, linear, linearSync, Tensor } from 'selective-scan';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import {
  callLinear,
  type LinearSpec,
  linearCase,
  linearComplaints,
  linearOptions,
  referenceLinear,
} from './support/linear-case';
import './support/patience';

type Row = [name: string, reason: string, spec: LinearSpec];

const floats = ['float32', 'float16', 'bfloat16'] as const;

// More than 24 rows are computed in another way than fewer.
const dtypes: Row[] = floats.flatMap((dtype) =>
  floats.flatMap((weightDType) =>
    floats.flatMap((outDType) =>
      [3, 30].map((rows): Row => {
        const spec = { dtype, weightDType, biasDType: weightDType, outDType, rows };
        return [`${dtype} x, ${weightDType} weights, ${outDType} out, ${rows} rows`, 'its own code', spec];
      }),
    ),
  ),
);

const rowCounts: Row[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 23, 24, 25, 26, 27, 28, 29, 30, 64].map((rows) => {
  return [`rows ${rows}`, 'tiles of rows, full and in part', { rows, in: 70, out: 50, biasDType: 'float32' }];
});

const awkward = [1, 3, 17, 257];
const sizes: Row[] = awkward.flatMap((depth) =>
  awkward.flatMap((out) =>
    [1, 8, 33].map((rows): Row => {
      return [`in ${depth}, out ${out}, rows ${rows}`, 'vectors and tiles in part', { rows, in: depth, out }];
    }),
  ),
);

const halves: Row[] = [1, 8, 30].flatMap((rows) =>
  (['float16', 'bfloat16'] as const).map((dtype): Row => {
    const spec = { rows, in: 259, out: 131, dtype, weightDType: dtype };
    return [`in 259, ${dtype}, rows ${rows}`, 'rows of 16 bits that begin at odd addresses', spec];
  }),
);

const large: Row[] = [
  ['rows 1000, in and out 257', 'threads that share rows', { rows: 1000, in: 257, out: 257 }],
  ['rows 64, in 3001', 'rows longer than a pass', { rows: 64, in: 3001, out: 40, weightDType: 'bfloat16' }],
  ['rows 2, in 3001', 'long rows', { rows: 2, in: 3001, out: 40, dtype: 'bfloat16', outDType: 'float32' }],
  ['rows 1, in 1024, out 2050', 'threads that share features', { rows: 1, in: 1024, out: 2050 }],
  ['rows 25, in 512, out 2050', 'panels of weights', { rows: 25, in: 512, out: 2050, biasDType: 'float32' }],
];

const biases: Row[] = floats.map((weightDType) => [
  `float32 bias, ${weightDType} weights`,
  'a dtype of its own',
  { weightDType, biasDType: 'float32', dtype: 'bfloat16' },
]);

const splits: Row[] = [1, 30]
  .flatMap((rows) =>
    floats.flatMap((dtype): Row[] => [
      [`in two, ${dtype}, rows ${rows}`, 'a shared projection', { rows, out: 64, split: [32, 32], dtype }],
      [
        `in unequal ones, ${dtype}, rows ${rows}`,
        'cuts within a vector',
        { rows, out: 80, split: [48, 16, 13, 3], dtype },
      ],
      [
        `in eight, ${dtype}, rows ${rows}`,
        'as many as there may be',
        { rows, out: 40, split: Array(8).fill(5), dtype },
      ],
      [
        `with empty ones, ${dtype}, rows ${rows}`,
        'nothing to write',
        { rows, out: 21, split: [0, 20, 0, 1, 0], dtype },
      ],
      [`in one, ${dtype}, rows ${rows}`, 'no cut', { rows, out: 21, split: [21], dtype }],
      [
        `with bias, ${dtype}, rows ${rows}`,
        'of each part',
        { rows, out: 300, split: [1, 299], dtype, biasDType: dtype },
      ],
    ]),
  )
  .map(([name, reason, spec]) => [name, reason, { weightDType: spec.dtype, ...spec }]);

// Enough rows for a GPU to leave the layer to cuBLASLt, which computes several outputs in one product.
const manyRows: Row[] = floats
  .flatMap((dtype): Row[] => {
    const halves = { rows: 200, in: 40, out: 256, split: [128, 128], dtype };
    const unequal = { rows: 500, in: 40, out: 80, dtype };
    return [
      [`in two, ${dtype}, many rows`, 'equal outputs', halves],
      [`in two, ${dtype}, many rows, bias`, 'equal outputs', { ...halves, biasDType: dtype }],
      [`in two, ${dtype}, many rows, an empty one`, 'equal outputs', { ...halves, split: [128, 0, 128] }],
      [`in two, ${dtype}, many rows, float32 out`, 'equal outputs', { ...halves, outDType: 'float32' }],
      [`in unequal ones, ${dtype}, many rows`, 'whole vectors', { ...unequal, split: [48, 16, 16] }],
      [
        `in unequal ones, ${dtype}, many rows, bias`,
        'whole vectors',
        { ...unequal, split: [48, 16, 16], biasDType: dtype },
      ],
      [`in odd ones, ${dtype}, many rows`, 'parts of vectors', { ...unequal, split: [48, 0, 13, 19] }],
      [
        `in odd ones, ${dtype}, many rows, float32 out`,
        'parts of vectors',
        { ...unequal, split: [48, 16, 13, 3], outDType: 'float32' },
      ],
      [
        `in 7, ${dtype}, many rows, bias`,
        'a bias beside rows at odd addresses',
        { rows: 300, in: 7, out: 192, dtype, biasDType: dtype },
      ],
    ];
  })
  .map(([name, reason, spec]) => [name, reason, { weightDType: spec.dtype, ...spec }]);

const empty: Row[] = [
  ['rows 0', 'no row', { rows: 0 }],
  ['out 0', 'no feature', { out: 0 }],
  ['in 0', 'sums of nothing', { in: 0 }],
  ['in 0, rows 30', 'the same', { in: 0, rows: 30 }],
  ['in 0, with bias', 'the bias alone', { in: 0, biasDType: 'float32', rows: 5 }],
  ['in 0, with bias, rows 30', 'the same', { in: 0, biasDType: 'float32', rows: 30 }],
  ['all 0', 'nothing at all', { in: 0, out: 0, rows: 0 }],
];

const rows = [...dtypes, ...rowCounts, ...sizes, ...halves, ...large, ...biases, ...splits, ...manyRows, ...empty];

describeOnEachDevice((device) => {
  test.each(rows)('%s: %s', async (_name, _reason, spec) => {
    const problem = linearCase(spec);
    const want = referenceLinear(problem);
    for (const form of ['promise', 'sync'] as const) {
      expect(linearComplaints(problem, await callLinear(problem, device, form), want)).toEqual([]);
    }
  });

  test.each([[[]], [[6]], [[2, 3]], [[1, 3, 1, 2]], [[2, 0]]])('axes %j before the last of x', async (lead) => {
    const problem = linearCase({ rows: lead.reduce((product, size) => product * size, 1) });
    const options = linearOptions(problem, device, lead);
    const { out } = await linear(options);
    expect(out).toMatchObject({ dims: [...lead, 21], dtype: 'float32', device });
    expect(linearComplaints(problem, await out.toArray())).toEqual([]);
    const { outs } = linearSync({ ...options, split: [20, 1] });
    expect(outs.map(({ dims }) => dims)).toEqual([
      [...lead, 20],
      [...lead, 1],
    ]);
  });

  test("the result has x's dtype unless another is asked for", async () => {
    const options = linearOptions(linearCase({ dtype: 'bfloat16' }), device);
    expect(linearSync(options).out.dtype).toBe('bfloat16');
    expect(linearSync({ ...options, dtype: 'float16' }).out.dtype).toBe('float16');
    expect(await linear(options)).toMatchObject({ device });
  });

  test.each([1, 40])('NaN and infinity stay in their row and feature, %d rows', async (rowCount) => {
    const problem = linearCase({ rows: rowCount, in: 37, out: 70 });
    const clean = await callLinear(problem, device);
    const [x, weight] = [Float64Array.from(problem.x), Float64Array.from(problem.weight)];
    const [row, feature] = [rowCount - 1, 33];
    x[row * 37 + 36] = Number.NaN;
    weight[feature * 37 + 36] = Number.POSITIVE_INFINITY;
    const got = await callLinear({ ...problem, x, weight }, device);
    const expected = (i: number): unknown => {
      if (Math.floor(i / 70) === row) return Number.NaN;
      return i % 70 === feature ? Math.sign(x[Math.floor(i / 70) * 37 + 36] as number) / 0 : clean[i];
    };
    expect(Array.from(got.keys()).filter((i) => !Object.is(got[i], expected(i)))).toEqual([]);
  });

  test('where products run', () => {
    const { usesCublasLt } = deviceOf(device);
    expect(typeof usesCublasLt).toBe('boolean');
    if (device === 'cpu' || process.env.SELECTIVE_SCAN_CUBLASLT === '0') expect(usesCublasLt).toBe(false);
  });

  test('sums too large for float16 are infinite', async () => {
    using x = Tensor.from(new Float32Array(8).fill(300), [1, 8], 'float16');
    using onDevice = x.toSync(device);
    const { out } = await linear({ x: onDevice, weight: onDevice });
    expect([...(await out.toArray())]).toEqual([Number.POSITIVE_INFINITY]);
  });

  // Memory that was freed comes back in another order, so that results lie the other way round the next time.
  test.each<LinearSpec>([
    { rows: 1, out: 70 },
    { rows: 8, out: 70 },
    { rows: 30, out: 70 },
    { rows: 300, out: 70 },
    { rows: 200, out: 256, split: [128, 128] },
    { rows: 500, out: 80, split: [48, 16, 16] },
  ])('a call again gives the same bits, %j', async (spec) => {
    const problem = linearCase({ ...spec, in: 1000, dtype: 'bfloat16', weightDType: 'bfloat16' });
    const first = await callLinear(problem, device);
    for (const form of ['promise', 'sync'] as const) expect(await callLinear(problem, device, form)).toEqual(first);
  });

  test('a call can be recorded and replayed with other rows', async () => {
    const problem = linearCase({ biasDType: 'float32' });
    const options = linearOptions(problem, device);
    let out: Tensor | undefined;
    using graph = deviceOf(device).capture(() => {
      out = linearSync(options).out;
    });
    const x = problem.x.map((value) => -2 * value);
    await options.x.copyFrom(new Float32Array(x));
    graph.replay();
    expect(linearComplaints({ ...problem, x }, await (out as Tensor).toArray())).toEqual([]);
  });

  test('operands that are disposed in flight live on until the call is done', async () => {
    const problem = linearCase({ rows: 300, in: 257, out: 257 });
    const { x, weight } = linearOptions(problem, device);
    const promise = linear({ x, weight });
    x.dispose();
    weight.dispose();
    expect(linearComplaints(problem, await (await promise).out.toArray())).toEqual([]);
  });

  test('a call that was aborted before is rejected', async () => {
    const options = linearOptions(linearCase(), device);
    const rejection = await rejectionOf(linear({ ...options, signal: AbortSignal.abort() }));
    expectFailure(rejection, { code: 'ERR_ABORTED', about: '' });
  });
});

describe('on a CPU', () => {
  test.each(floats)('a row is the same bits whatever other rows there are, %s', async (weightDType) => {
    const spec = { in: 1601, out: 90, weightDType };
    const all = linearCase({ ...spec, rows: 50 });
    const want = await callLinear(all, 'cpu');
    for (const count of [1, 2, 3, 5, 7, 8, 24, 25, 31]) {
      const [first, depth] = [50 - count, spec.in];
      const some = { ...all, rows: count, x: all.x.subarray(first * depth) };
      expect(await callLinear(some, 'cpu')).toEqual(want.subarray(first * spec.out));
    }
  });

  test('a call that is aborted while it runs ends early', async () => {
    const matrix = Tensor.from(new Float32Array(2048 * 2048), [2048, 2048]);
    const controller = new AbortController();
    const rejection = rejectionOf(linear({ x: matrix, weight: matrix, signal: controller.signal }));
    controller.abort();
    expectFailure(await rejection, { code: 'ERR_ABORTED', about: 'aborted' });
  });
});
