import { describe, expect, test } from '@jest/globals';
import { type CallResult, callWithTensors } from './support/call';
import { complaints, limitsOf } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import { type CaseSpec, randomCase } from './support/random-case';
import { referenceScan } from './support/reference';
import { cut, cutOut, indexing, type ScanCase, sequencesOf } from './support/scan-case';
import './support/patience';

const layouts = ['bdl', 'bld'] as const;

describeOnEachDevice((device) => {
  const run = (problem: ScanCase): Promise<CallResult> => callWithTensors(problem, device, 'promise');

  // Few channels and many steps, where a backend has to share out time itself.
  const long: Partial<CaseSpec> = { batch: 1, dim: 2, seqlen: 12_345 };
  // Steps so small that states remember thousands of them, and with them the state a stretch of time began with.
  const lasting: Partial<CaseSpec> = { deltaSoftplus: false, deltaBias: false, deltaRange: [0, 0.002] };
  const splits: [string, Partial<CaseSpec>, number[]][] = [
    ['after any step', { dim: 5, seqlen: 130 }, [1, 2, 63, 64, 65, 129]],
    ['a long sequence', long, [1, 4096, 6173, 12_344]],
    ['a long bfloat16 sequence', { ...long, dtype: 'bfloat16' }, [5000]],
    // One or two runs of channels too many for the threads: those alone are cut in time.
    ['channels that do not share out evenly', { ...lasting, batch: 1, dim: 40, seqlen: 3000 }, [1000]],
    ['a long complex sequence', { ...long, complex: true, seqlen: 5000 }, [2500]],
    ['a long memory', { ...long, ...lasting }, [5000]],
    ['a long complex memory', { ...long, ...lasting, complex: true }, [5000]],
  ];

  describe.each(layouts)('a call goes on where another stopped, %s', (layout) => {
    test.each(splits)('%s', async (_name, change, points) => {
      const problem = randomCase({ ...change, layout });
      const limits = limitsOf(problem, referenceScan(problem));
      const whole = await run(problem);
      for (const point of points) {
        const joined = blank(problem);
        for (let b = 0; b < problem.batch; b++) {
          const first = await run(cut(problem, b, 0, point));
          const second = await run(cut(problem, b, point, problem.seqlen, first.lastState));
          paste(joined, problem, { b, from: 0, to: point, s: b }, first);
          paste(joined, problem, { b, from: point, to: problem.seqlen, s: b }, second);
        }
        expect(complaints(joined, whole, limits, `split at ${point}`)).toEqual([]);
      }
    });
  });

  const packings: [string, Partial<CaseSpec>][] = [
    ['empty first, inside and last', { seqlen: 65, cuSeqlens: [0, 0, 20, 20, 20, 64, 65, 65] }],
    ['one step each', { seqlen: 9, cuSeqlens: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }],
    ['one sequence', { seqlen: 65, cuSeqlens: [0, 65] }],
    ['one long, few channels', { seqlen: 6000, dim: 2, cuSeqlens: [0, 5, 5990, 6000] }],
    ['one long among short ones', { ...lasting, seqlen: 4400, dim: 16, cuSeqlens: [0, 100, 4100, 4200, 4300, 4400] }],
    ['many', { seqlen: 600, cuSeqlens: Array.from({ length: 301 }, (_, s) => 2 * s) }],
    ['more than steps', { seqlen: 3, cuSeqlens: [...Array(200).fill(0), 1, 2, ...Array(200).fill(3)] }],
  ];

  describe.each(layouts)('a packed batch equals its parts, %s', (layout) => {
    test.each(packings)('%s', async (_name, change) => {
      const problem = randomCase({ batch: 1, dim: 5, dstate: 8, initialState: true, ...change, layout });
      const parts = blank(problem);
      for (const [s, { from, to }] of sequencesOf(problem).entries()) {
        const state = stateOf(problem.initialState as Float64Array, problem, s);
        const part =
          from === to ? { out: new Float64Array(0), lastState: state } : await run(cut(problem, 0, from, to, state));
        paste(parts, problem, { b: 0, from, to, s }, part);
      }
      expect(complaints(await run(problem), parts, limitsOf(problem, referenceScan(problem)))).toEqual([]);
    });
  });

  describe.each(layouts)('a result depends on nothing else in the call, %s', (layout) => {
    test('a batch entry alone', async () => {
      const problem = randomCase({ batch: 9, dim: 17, layout });
      const whole = await run(problem);
      for (let b = 0; b < problem.batch; b++) {
        const alone = cut(problem, b, 0, problem.seqlen);
        const inBatch = {
          out: cutOut(whole.out, problem, b, 0, problem.seqlen),
          lastState: stateOf(whole.lastState, problem, b),
        };
        expect(complaints(await run(alone), inBatch, limitsOf(alone, referenceScan(alone)))).toEqual([]);
      }
    });

    // Kernels walk more steps than there are, to the end of a tile.
    test.each([1, 3, 17])(
      'NaN in one part of a complex state after %d steps does not reach the other',
      async (seqlen) => {
        const problem = randomCase({ batch: 1, dim: 3, seqlen, dstate: 2, complex: true, layout });
        const clean = await run(problem);
        const at = 2 * indexing(problem).varying(0, 0, 0, seqlen - 1); // the real part of B of state 0 at the last step
        const { lastState } = await run({ ...problem, B: problem.B.map((b, i) => (i === at ? Number.NaN : b)) });
        const spared = [...lastState.keys()].filter((i) => i % 4 !== 0);
        expect([...lastState].filter((_, i) => i % 4 === 0).every(Number.isNaN)).toBe(true);
        expect(spared.filter((i) => lastState[i] !== clean.lastState[i])).toEqual([]);
      },
    );

    const neighbours: [string, Partial<CaseSpec>, (b: number, d: number, t: number) => boolean][] = [
      ['batch entries', { batch: 5, dim: 17 }, (b) => b === 2],
      ['channels', { batch: 2, dim: 37 }, (_b, d) => d === 18],
      ['packed sequences', { batch: 1, cuSeqlens: [0, 9, 40, 65] }, (_b, _d, t) => t >= 9 && t < 40],
      ['steps before', { batch: 1, D: false }, (_b, _d, t) => t >= 40],
    ];

    test.each(neighbours)('NaN does not reach other %s', async (_name, change, isPoisoned) => {
      const problem = randomCase({ ...change, layout });
      const clean = await run(problem);
      const { sequence } = indexing(problem);
      const poisoned = { ...problem, u: Float64Array.from(problem.u) };
      const spared: number[] = [];
      for (let b = 0; b < problem.batch; b++) {
        for (let d = 0; d < problem.dim; d++) {
          for (let t = 0; t < problem.seqlen; t++) {
            if (isPoisoned(b, d, t)) poisoned.u[sequence(b, d, t)] = Number.NaN;
            else spared.push(sequence(b, d, t));
          }
        }
      }
      const { out } = await run(poisoned);
      expect(out.some(Number.isNaN)).toBe(true);
      expect(spared.filter((i) => out[i] !== clean.out[i])).toEqual([]);
    });
  });
});

function blank(c: ScanCase): { out: Float64Array; lastState: Float64Array } {
  const stateLength = sequencesOf(c).length * c.dim * c.dstate * (c.complex ? 2 : 1);
  return { out: new Float64Array(c.u.length), lastState: new Float64Array(stateLength) };
}

/** Puts the result of `cut(c, b, from, to)` where it belongs in the result of the whole. */
function paste(
  whole: { out: Float64Array; lastState: Float64Array },
  c: ScanCase,
  { b, from, to, s }: { b: number; from: number; to: number; s: number },
  part: { out: Float64Array; lastState: Float64Array },
): void {
  const source = indexing({ ...c, batch: 1, seqlen: to - from }).sequence;
  const target = indexing(c).sequence;
  for (let d = 0; d < c.dim; d++) {
    for (let t = from; t < to; t++) whole.out[target(b, d, t)] = part.out[source(0, d, t - from)] as number;
  }
  whole.lastState.set(part.lastState, s * part.lastState.length);
}

function stateOf(states: Float64Array, c: ScanCase, s: number): Float64Array {
  const length = c.dim * c.dstate * (c.complex ? 2 : 1);
  return states.slice(s * length, (s + 1) * length);
}
