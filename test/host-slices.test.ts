// The way of large host arrays to a device and back, in slices. Here the arrays are small and the slices tiny; on a CPU,
// whose memory needs no link, the same code runs with copies in the place of transfers.
import { describe, expect, test } from '@jest/globals';
import { selectiveScanSync } from 'selective-scan';
import { typedArrayOptions } from './support/call';
import { complaints, complaintsAgainstReference, limitsOf, relativeError } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import { rejectionOf } from './support/failures';
import { type CaseSpec, randomCase } from './support/random-case';
import { referenceScan } from './support/reference';
import { callInSlices } from './support/sliced-call';
import './support/patience';

type Row = [name: string, reason: string, change: Partial<CaseSpec>];

const rows: Row[] = [
  ['base', 'an ordinary problem', {}],
  ['seqlen 61, dim 35', 'rows that begin at odd addresses', { seqlen: 61, dim: 35, dtype: 'bfloat16' }],
  ['dim 1', 'a single channel', { dim: 1 }],
  ['dim 70', 'runs of channels of 32', { dim: 70, batch: 1 }],
  ['seqlen 1', 'a single step', { seqlen: 1 }],
  ['all sizes 1', 'the smallest problem', { batch: 1, dim: 1, seqlen: 1, dstate: 1 }],
  ['batch 9', 'several entries a slice', { batch: 9, dim: 3, seqlen: 5 }],
  ['dstate 300', 'states that are more than the steps', { dstate: 300, dim: 5, seqlen: 7 }],
  ['groups 3', 'slices of a group, and of whole groups', { groups: 3 }],
  ['groups 33', 'a channel a group', { groups: 33 }],
  ['no z, D, bias or softplus', 'fewer arrays', { z: false, D: false, deltaBias: false, deltaSoftplus: false }],
  ['initial state', 'states that are brought', { initialState: true }],
  ['initial state, batch 7', 'rows of several entries', { initialState: true, batch: 7, dim: 5, dstate: 3 }],
  ['packed', 'sequences of unequal length', { batch: 1, cuSeqlens: [0, 20, 21, 65], initialState: true }],
  ['packed, without states', 'only the carried one', { batch: 1, cuSeqlens: [0, 1, 40, 65] }],
  [
    'packed, some empty',
    'first, between and last',
    { batch: 1, cuSeqlens: [0, 0, 0, 20, 20, 20, 64, 65, 65, 65], initialState: true },
  ],
  [
    'packed, hundreds of them empty',
    'slices that hold nothing but states',
    {
      batch: 1,
      dim: 3,
      dstate: 4,
      cuSeqlens: [0, 20, 64, 65].flatMap((start) => new Array(300).fill(start)),
      initialState: true,
    },
  ],
  ['packed, many', 'many in a slice', { batch: 1, dim: 5, cuSeqlens: Array.from({ length: 66 }, (_, i) => i) }],
  ['dstate 2, seqlen 200', 'rows of A that the slices of a batch entry share', { dstate: 2, seqlen: 200 }],
  [
    'dstate 2, seqlen 200, all constant',
    'of B and C too, in groups',
    { dstate: 2, seqlen: 200, groups: 3, complex: true, constantB: true, constantC: true },
  ],
  [
    'a long memory',
    'a state that is carried over all slices',
    { deltaSoftplus: false, deltaBias: false, deltaRange: [0, 0.002], batch: 2, dim: 8, seqlen: 500 },
  ],
];

const kinds: Row[] = (['float32', 'bfloat16'] as const).flatMap((dtype) =>
  [false, true].flatMap((complex) =>
    [false, true].flatMap((constantB) =>
      [false, true].map((constantC): Row => {
        const words = [complex ? 'complex' : 'real', constantB ? 'B constant' : '', constantC ? 'C constant' : ''];
        const name = [dtype, ...words].filter((word) => word !== '').join(', ');
        return [name, 'its own arrays', { dtype, complex, constantB, constantC, groups: 3, initialState: true }];
      }),
    ),
  ),
);

// From one row of a channel or one step a slice to about a batch entry.
const sliceSizes = [1, 3000, 12_000];

describeOnEachDevice((device) => {
  describe.each(['bdl', 'bld'] as const)('%s', (layout) => {
    test.each([...rows, ...kinds])('%s: %s', async (_name, _reason, change) => {
      const problem = randomCase({ ...change, layout });
      const want = referenceScan(problem);
      const limits = limitsOf(problem, want);
      for (const sliceBytes of sliceSizes) {
        for (const form of ['sync', 'promise'] as const) {
          const got = await callInSlices(problem, device, form, { sliceBytes });
          expect(complaints(got, want, limits, `${form}, slices of ${sliceBytes} bytes`)).toEqual([]);
          expect(got.done).toBe(problem.u.length);
        }
      }
    });

    test.each(rows)('without a last state, %s: %s', async (_name, _reason, change) => {
      const problem = randomCase({ ...change, layout });
      const { out } = await callInSlices(problem, device, 'sync', { sliceBytes: 3000 });
      expect((await callInSlices(problem, device, 'sync', { sliceBytes: 3000, hasLastState: false })).out).toEqual(out);
    });

    test.each(rows)('a result in page-locked memory, %s: %s', async (_name, _reason, change) => {
      const problem = randomCase({ ...change, layout });
      const { out } = await callInSlices(problem, device, 'sync', { sliceBytes: 3000 });
      for (const form of ['promise', 'sync'] as const) {
        const got = await callInSlices(problem, device, form, { sliceBytes: 3000, hasPinnedOut: true });
        expect(got.out).toEqual(out);
      }
    });

    test('the smaller the slices, the more there are', async () => {
      const problem = randomCase({ batch: 2, dim: 33, seqlen: 65, layout });
      const counts = [];
      for (const sliceBytes of [1, 3000, 12_000, 1e9]) {
        counts.push((await callInSlices(problem, device, 'sync', { sliceBytes })).slices);
      }
      // Of one row or step each, down to one for all.
      expect(counts[0]).toBe(layout === 'bdl' ? 2 * 33 : 2 * 65);
      expect(counts.at(-1)).toBe(1);
      expect([...counts].sort((a, b) => b - a)).toEqual(counts);
      expect(new Set(counts).size).toBe(counts.length);
    });
  });

  test.each([true, false])('empty sequences at one step are dealt out, initial state %s', async (initialState) => {
    // Of a sequence 96 bytes of states are moved: some 30 sequences a slice.
    const starts = [...new Array(1000).fill(0), 40, ...new Array(1000).fill(65)];
    const problem = randomCase({ batch: 1, dim: 3, dstate: 4, cuSeqlens: starts, initialState, layout: 'bld' });
    const got = await callInSlices(problem, device, 'promise', { sliceBytes: 3000 });
    expect(got.slices).toBeGreaterThan(2000 / 32);
    expect(complaintsAgainstReference(problem, got)).toEqual([]);
  });

  test.each(['bdl', 'bld'] as const)('slices and chunks of the usual size, %s', async (layout) => {
    // 27 MB: two slices, and chunks that fill whole slots.
    const problem = randomCase({ batch: 1, dim: 64, seqlen: 26_000, dstate: 2, layout });
    const { out, slices } = await callInSlices(problem, device, 'promise', { sliceBytes: 2 ** 24 });
    expect(slices).toBe(2);
    const want = selectiveScanSync(typedArrayOptions(problem, device)).out as Float32Array;
    expect(relativeError(out, want)).toBeLessThan(1e-6);
  });

  describe('arrays that JavaScript may take away while they are read', () => {
    const problem = randomCase({ batch: 3, dim: 33, seqlen: 65 });
    const sliceBytes = 3000;

    test.each(['u', 'z'] as const)('%s detached before the first turn', async (name) => {
      const call = callInSlices(problem, device, 'promise', {
        sliceBytes,
        beforeTurn: (arrays) => structuredClone(arrays[name].buffer, { transfer: [arrays[name].buffer] }),
      });
      const failure = (await rejectionOf(call)) as { code: string; message: string };
      expect(failure).toMatchObject({
        code: 'ERR_SHAPE',
        message: expect.stringContaining(`Expected ${name} to keep`),
      });
    });

    test('abort, and the next call is right', async () => {
      const call = callInSlices(problem, device, 'promise', { sliceBytes, beforeTurn: (_arrays, abort) => abort() });
      expect(await rejectionOf(call)).toMatchObject({ code: 'ERR_ABORTED' });
      const got = await callInSlices(problem, device, 'promise', { sliceBytes });
      expect(complaintsAgainstReference(problem, got)).toEqual([]);
    });

    test('many calls at once', async () => {
      const calls = Array.from({ length: 5 }, () => callInSlices(problem, device, 'promise', { sliceBytes }));
      for (const got of await Promise.all(calls)) expect(complaintsAgainstReference(problem, got)).toEqual([]);
    });
  });
});
