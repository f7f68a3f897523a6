import { describe, expect, test } from '@jest/globals';
import { callWithTensors } from './support/call';
import { describeOnEachDevice } from './support/devices';
import { type CaseSpec, randomCase } from './support/random-case';
import { cut, cutOut, type ScanCase, sequencesOf } from './support/scan-case';
import { callInSlices } from './support/sliced-call';
import { callUpdate, type UpdateCase, updateCase } from './support/update-case';
import './support/patience';

const batchInvariant = true;

const forms = (['float32', 'float16', 'bfloat16'] as const).flatMap((dtype) =>
  (['bdl', 'bld'] as const).map((layout) => ({ dtype, layout })),
);

// Steps so small that states remember thousands of them: where time is cut, every bit of the carry then shows.
const lasting: Partial<CaseSpec> = { deltaSoftplus: false, deltaBias: false, deltaRange: [0, 0.002] };

// Other sizes of the whole choose other kernels and cuts where nothing forbids it: few long sequences are cut in time,
// many short ones are not.
const wholes: [string, Partial<CaseSpec>][] = [
  ['a batch', { batch: 5 }],
  ['a batch of long sequences', { ...lasting, batch: 3, dim: 4, seqlen: 5000 }],
  ['a large batch', { batch: 16, dim: 1280, seqlen: 40 }],
  ['a pack', { batch: 1, seqlen: 300, cuSeqlens: [0, 1, 2, 2, 67, 131, 196, 300] }],
  ['a pack with long sequences', { ...lasting, batch: 1, dim: 4, seqlen: 9000, cuSeqlens: [0, 3, 4000, 4003, 9000] }],
];

const kinds: [string, Partial<CaseSpec>][] = [
  ['7 states', { dstate: 7 }],
  ['40 states', { dstate: 40 }],
  ['300 states', { dstate: 300, dim: 5 }],
  ['3 groups', { groups: 3 }],
  ['complex', { complex: true }],
  ['constant B', { constantB: true }],
  ['constant C', { constantC: true }],
];

// Of the first an uncut call without batchInvariant would be computed in chunks of time.
const inSlices: [string, Partial<CaseSpec>][] = [
  ['a long sequence', { ...lasting, batch: 1, dim: 4, seqlen: 8000 }],
  ['a batch', { batch: 3, dim: 37, seqlen: 131 }],
  ['a pack', { batch: 1, dim: 35, seqlen: 300, cuSeqlens: [0, 1, 2, 2, 67, 131, 196, 300] }],
];

describeOnEachDevice((device) => {
  const run = (problem: ScanCase) => callWithTensors(problem, device, 'sync', { batchInvariant });

  /** The sequences of a problem whose result alone is not that in the whole. */
  async function differing(problem: ScanCase): Promise<string[]> {
    const whole = await run(problem);
    const found: string[] = [];
    for (const [s, { b, from, to }] of sequencesOf(problem).entries()) {
      if (from === to) continue;
      const alone = await run(cut(problem, b, from, to, stateOf(problem.initialState, problem, s)));
      if (!equal(alone.out, cutOut(whole.out, problem, b, from, to))) found.push(`out of sequence ${s}`);
      if (!equal(alone.lastState, stateOf(whole.lastState, problem, s))) found.push(`state of sequence ${s}`);
    }
    return found;
  }

  describe.each(forms)('a sequence alone gives the same bits, $dtype, $layout', (form) => {
    test.each(wholes)('in %s', async (_name, change) => {
      expect(await differing(randomCase({ ...change, ...form, initialState: true }))).toEqual([]);
    });

    test.each(kinds)('of %s', async (_name, change) => {
      const packed = { batch: 1, seqlen: 700, cuSeqlens: [0, 5, 630, 700] };
      expect(await differing(randomCase({ ...packed, ...change, ...form, initialState: true }))).toEqual([]);
    });

    test('and cut in time with its state carried over', async () => {
      const problem = randomCase({ ...form, ...lasting, batch: 1, dim: 4, seqlen: 8000 });
      const whole = await run(problem);
      const first = await run(cut(problem, 0, 0, 1037));
      const second = await run(cut(problem, 0, 1037, 8000, first.lastState));
      expect(equal(first.out, cutOut(whole.out, problem, 0, 0, 1037))).toBe(true);
      expect(equal(second.out, cutOut(whole.out, problem, 0, 1037, 8000))).toBe(true);
      expect(equal(second.lastState, whole.lastState)).toBe(true);
    });
  });

  // Host arrays that are moved in slices: of one channel or one step each, of a few, and of many.
  describe.each(forms)('host arrays in slices give the bits of the whole, $dtype, $layout', (form) => {
    test.each([...inSlices, ...kinds])('%s', async (_name, change) => {
      const problem = randomCase({ ...change, ...form, initialState: true });
      const whole = await run(problem);
      for (const sliceBytes of [1, 1500, 9000]) {
        const sliced = await callInSlices(problem, device, 'sync', { sliceBytes, batchInvariant });
        expect(sliced.slices).toBeGreaterThan(1);
        expect(equal(sliced.out, whole.out)).toBe(true);
        expect(equal(sliced.lastState, whole.lastState)).toBe(true);
      }
    });
  });

  // Small and large batches, one token and several, with and without the states of each: the kernels of the update.
  const updates: [string, number, number, boolean][] = [
    ['a token', 5, 1, false],
    ['a token of many rows', 520, 1, false],
    ['a token, with its state', 5, 1, true],
    ['several tokens of many rows', 520, 3, true],
  ];

  describe.each([16, 20, 7])('a row updated alone gives the same bits, %d states', (dstate) => {
    test.each(updates)('%s', async (_name, batch, tokens, returnStates) => {
      const problem = updateCase({ batch, tokens, dim: 128, dstate, dtype: 'bfloat16' });
      const whole = await callUpdate(problem, device, { returnStates, batchInvariant });
      for (const b of [0, 3, batch - 1]) {
        const alone = await callUpdate(row(problem, b), device, { returnStates: false, batchInvariant });
        expect(equal(alone.out, part(whole.out, batch, b))).toBe(true);
        expect(equal(alone.pool, part(whole.pool, batch, b))).toBe(true);
      }
    });
  });
});

function row({ scan, stateDType, pool }: UpdateCase, b: number): UpdateCase {
  const alone = part(pool, scan.batch, b);
  return { scan: cut(scan, b, 0, scan.seqlen, alone), stateDType, pool: alone, slots: undefined };
}

function part(values: Float64Array, parts: number, index: number): Float64Array {
  const size = values.length / parts;
  return values.slice(index * size, (index + 1) * size);
}

function stateOf(states: Float64Array | undefined, c: ScanCase, s: number): Float64Array {
  const size = c.dim * c.dstate * (c.complex ? 2 : 1);
  return (states as Float64Array).slice(s * size, (s + 1) * size);
}

function equal(a: Float64Array, b: Float64Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}
