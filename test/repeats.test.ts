import { describe, expect, test } from '@jest/globals';
import { linear, rmsNorm, softmax, type Tensor } from 'selective-scan';
import { type CallResult, callWithTensors } from './support/call';
import { callConv, convCase, disposeTensors } from './support/conv-case';
import { callConvUpdate, convUpdateCase } from './support/conv-update-case';
import { describeOnEachDevice } from './support/devices';
import { callLayerSteps, layerStepCase } from './support/layer-step-case';
import { linearCase, linearOptions } from './support/linear-case';
import { type CaseSpec, randomCase } from './support/random-case';
import type { FloatType } from './support/rounding';
import { normals, placed, taken } from './support/rows';
import { callSample, sampleCase } from './support/sample-case';
import { sameValues } from './support/small-call';
import { callUpdate, type UpdateSpec, updateCase } from './support/update-case';
import './support/patience';

const layouts = ['bdl', 'bld'] as const;
const dtypes = ['float32', 'float16', 'bfloat16'] as const;

// Steps so small that states remember thousands of them, so that no difference is forgotten before the end.
const lasting: Partial<CaseSpec> = { deltaSoftplus: false, deltaBias: false, deltaRange: [0, 0.002] };

// A problem for each way in which work is cut or threads add up what others have computed.
const scans: [string, Partial<CaseSpec>][] = [
  ['an ordinary problem', {}],
  ['few long rows, cut in time', { ...lasting, batch: 1, dim: 3, seqlen: 12_345 }],
  ['a pack with a long sequence', { ...lasting, batch: 1, dim: 4, seqlen: 6000, cuSeqlens: [0, 3, 5900, 6000] }],
  ['many rows', { batch: 16, dim: 1280, seqlen: 20 }],
  ['many states', { dstate: 200, dim: 20 }],
  ['more states than a pass holds', { dstate: 300, dim: 5 }],
  ['complex', { ...lasting, batch: 1, dim: 3, seqlen: 5000, complex: true }],
  ['constant B and C', { constantB: true, constantC: true }],
];

const updates: [string, UpdateSpec][] = [
  ['a token', { batch: 5, dim: 64 }],
  ['a token of many rows', { batch: 520, dim: 128 }],
  ['several tokens', { batch: 5, dim: 64, tokens: 20 }],
  ['an odd number of states', { batch: 5, dim: 33, tokens: 3, dstate: 19 }],
  ['more states than a pass holds', { batch: 2, dim: 5, tokens: 3, dstate: 300 }],
];

type Call = (dtype: FloatType, device: string) => Promise<object>;

/** Rows of which several threads share one, and rows enough for all threads. */
const rowCounts = [
  [1, 70_000],
  [700, 300],
] as const;

// Sizes at which the work is shared out, among threads and within a row.
const ops: [string, Call][] = [
  ...layouts.map((layout): [string, Call] => [
    `causalConv1d, ${layout}`,
    (dtype, device) => callConv(convCase({ dim: 260, seqlen: 700, dtype, layout }), device),
  ]),
  [
    'causalConv1dUpdate',
    (dtype, device) => callConvUpdate(convUpdateCase({ batch: 70, dim: 1100, tokens: 3, dtype }), device),
  ],
  ...([1, 9, 130] as const).map((rows): [string, Call] => [
    `linear, ${rows} rows`,
    (dtype, device) => {
      const problem = linearCase({ rows, in: 1500, out: 333, dtype, weightDType: dtype, biasDType: dtype });
      return outOf((given: ReturnType<typeof linearOptions>) => linear(given), linearOptions(problem, device));
    },
  ]),
  ...rowCounts.flatMap(([rows, length]): [string, Call][] => [
    [
      `softmax, ${rows} rows`,
      (dtype, device) => outOf(softmax, { x: placed(normals(rows * length, dtype), [rows, length], dtype, device) }),
    ],
    [
      `rmsNorm, ${rows} rows`,
      (dtype, device) =>
        outOf(rmsNorm, {
          x: placed(normals(rows * length, dtype), [rows, length], dtype, device),
          weight: placed(normals(length, dtype, 2), [length], dtype, device),
        }),
    ],
    [
      `sample, ${rows} rows`,
      (dtype, device) =>
        callSample(sampleCase({ batch: rows, vocab: length, dtype, topP: 0.9, minP: 0.01 }), device, 'promise'),
    ],
  ]),
  [
    'mambaLayerStep',
    (dtype, device) => callLayerSteps(layerStepCase({ batch: 5, hidden: 256, dim: 512, dtRank: 16, dtype }), device),
  ],
];

/** What an op gives for options that are its own. */
async function outOf<Options extends object>(op: (options: Options) => Promise<{ out: Tensor }>, options: Options) {
  const { out } = await op(options);
  const values = await taken(out);
  disposeTensors(options);
  return { values };
}

describeOnEachDevice((device) => {
  describe.each(dtypes)('a call again gives the same bits, %s', (dtype) => {
    describe.each(layouts)('selectiveScan, %s', (layout) => {
      test.each(scans)('%s', async (_name, change) => {
        const problem = randomCase({ ...change, dtype, layout });
        const first = await callWithTensors(problem, device, 'sync');
        // At once, so that a GPU and the CPU's threads have others beside them.
        const again = Array.from({ length: 4 }, () => callWithTensors(problem, device, 'promise'));
        for (const result of await Promise.all(again)) expect(isSame(result, first)).toBe(true);
      });
    });

    test.each(updates)('selectiveStateUpdate, %s', async (_name, change) => {
      const problem = updateCase({ ...change, dtype, stateDType: dtype });
      const [first, ...again] = await Promise.all([1, 2, 3].map(() => callUpdate(problem, device)));
      for (const result of again) {
        expect(sameValues(result.out, first?.out as Float64Array)).toBe(true);
        expect(sameValues(result.pool, first?.pool as Float64Array)).toBe(true);
        expect(sameValues(result.states as Float64Array, first?.states as Float64Array)).toBe(true);
      }
    });

    test.each(ops)('%s', async (_name, call) => {
      const [first, ...again] = await Promise.all([1, 2, 3].map(() => call(dtype, device)));
      for (const result of again) expect(sameResults(result, first as object)).toBe(true);
    });
  });
});

function isSame(a: CallResult, b: CallResult): boolean {
  return sameValues(a.out, b.out) && sameValues(a.lastState, b.lastState);
}

/** Bit for bit, of results whose properties are arrays or lists of them. */
function sameResults(a: object, b: object): boolean {
  const [ours, theirs] = [a, b].map((result) => Object.values(result).flat());
  return (ours as unknown[]).every((value, i) => {
    const other = theirs?.[i];
    return ArrayBuffer.isView(value)
      ? sameValues(value as Float64Array, other as Float64Array)
      : Object.is(value, other);
  });
}
