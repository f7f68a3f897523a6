import { describe, expect, test } from '@jest/globals';
import { type CallResult, callWithTensors } from './support/call';
import { describeOnEachDevice } from './support/devices';
import { type CaseSpec, randomCase } from './support/random-case';
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
  });
});

function isSame(a: CallResult, b: CallResult): boolean {
  return sameValues(a.out, b.out) && sameValues(a.lastState, b.lastState);
}
