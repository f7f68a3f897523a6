import { describe, expect, test } from '@jest/globals';
import { scanKernel } from 'selective-scan';
import { callWithTensors } from './support/call';
import { complaintsAgainstReference } from './support/closeness';
import { describeOnGpus, hasCudaBackend } from './support/devices';
import { type CaseSpec, randomCase } from './support/random-case';
import type { ScanCase } from './support/scan-case';
import './support/patience';

// The other suites' problems are small. Here are the sizes at which another kernel, or another cut of the same, is
// chosen, each with rows that start anywhere and with ends that fill no tile.
type Sizes = Partial<CaseSpec> & Pick<CaseSpec, 'batch' | 'dim' | 'seqlen' | 'dstate'>;
type Problem = Sizes & Pick<CaseSpec, 'dtype' | 'layout'> & { words: RegExp };

const kernels: readonly [words: RegExp, ...problems: Sizes[]][] = [
  [
    /^1 lane of 16 states a channel, 4 warps/,
    { batch: 16, dim: 1056, seqlen: 64, dstate: 16 },
    { batch: 16, dim: 1053, seqlen: 67, dstate: 13, groups: 3 },
  ],
  [
    /^2 lanes of 8 states a channel, 4 warps/,
    { batch: 16, dim: 1280, seqlen: 96, dstate: 16 },
    { batch: 16, dim: 1277, seqlen: 35, dstate: 15, initialState: true },
  ],
  [
    /^4 lanes of 4 states a channel, 4 warps/,
    { batch: 8, dim: 1280, seqlen: 64, dstate: 16 },
    { batch: 9, dim: 1155, seqlen: 39, dstate: 11, groups: 5 },
  ],
  [/^1 lane of 8 states a channel/, { batch: 40, dim: 203, seqlen: 101, dstate: 7 }],
  [/^2 lanes of 16 states a channel/, { batch: 2, dim: 72, seqlen: 77, dstate: 32 }],
  [/^4 lanes of 16 states a channel/, { batch: 3, dim: 41, seqlen: 66, dstate: 50, initialState: true }],
  [
    /^8 lanes of 16 states a channel/,
    { batch: 1, dim: 40, seqlen: 64, dstate: 128 },
    { batch: 2, dim: 13, seqlen: 33, dstate: 65 },
  ],
  [
    /^16 lanes of 16 states a channel/,
    { batch: 1, dim: 24, seqlen: 64, dstate: 256 },
    { batch: 2, dim: 9, seqlen: 31, dstate: 130 },
  ],
  [
    /^2 lanes of 8 states a channel, 4 warps/,
    { batch: 2, dim: 96, seqlen: 96, dstate: 16, constantB: true },
    { batch: 2, dim: 77, seqlen: 67, dstate: 13, constantC: true, initialState: true },
    { batch: 1, dim: 90, seqlen: 131, dstate: 5, groups: 3, constantB: true, constantC: true, initialState: true },
  ],
  [
    /^4 lanes of 16 states a channel, 4 warps/,
    { batch: 2, dim: 41, seqlen: 66, dstate: 50, constantB: true, initialState: true },
    { batch: 1, dim: 40, seqlen: 64, dstate: 64, constantC: true },
    { batch: 2, dim: 37, seqlen: 99, dstate: 17, constantB: true, constantC: true },
  ],
  [
    /^passes of 32 states/,
    { batch: 2, dim: 5, seqlen: 33, dstate: 300 },
    { batch: 2, dim: 21, seqlen: 45, dstate: 70, constantB: true },
  ],
  [
    /^8 walking lanes of 2 states a channel, 1 walker /,
    { batch: 3, dim: 37, seqlen: 129, dstate: 9, initialState: true },
  ],
  [
    /^8 walking lanes of 2 states a channel, 3 walkers/,
    { batch: 1, dim: 1536, seqlen: 260, dstate: 16 },
    { batch: 1, dim: 1537, seqlen: 131, dstate: 16 },
  ],
  [/^8 walking lanes of 2 states a channel, 6 walkers/, { batch: 3, dim: 1001, seqlen: 67, dstate: 14 }],
  [/^8 walking lanes of 2 states a channel, 10 walkers/, { batch: 1, dim: 5120, seqlen: 130, dstate: 16 }],
];

const forms = (['float32', 'float16', 'bfloat16'] as const).flatMap((dtype) =>
  (['bdl', 'bld'] as const).map((layout) => ({ dtype, layout })),
);
// Large problems take seconds to make, so they come in two forms of six.
const problems = kernels.flatMap(([words, ...sizes]) =>
  sizes.flatMap((each) =>
    (each.seqlen > 500 ? [forms[0], forms[5]] : forms).map((form) => ({ words, ...form, ...each }) as Problem),
  ),
);

function chosen(problem: Sizes): string {
  const { batch, dim, seqlen, dstate, groups, dtype, layout, constantB, constantC } = problem;
  const dims = { batch, dim, seqlen, dstate, groups };
  return scanKernel({ dims, dtype, layout, z: true, constantB, constantC, device: 'cuda' });
}

(hasCudaBackend() ? describe : describe.skip)('the kernel chosen', () => {
  test.each(problems.filter(({ dtype }) => dtype !== 'float16'))(
    '$words at $batch, $dim, $seqlen, $dstate, $dtype, $layout',
    ({ words, ...problem }) => expect(chosen(problem)).toMatch(words),
  );
});

describeOnGpus((device) => {
  test.each(problems)('$words at $batch, $dim, $seqlen, $dstate, $dtype, $layout', async ({ words: _, ...problem }) => {
    // The same numbers in each batch entry, so that one entry's reference serves for all.
    const one = randomCase({ ...problem, batch: 1 });
    const { out, lastState } = await callWithTensors(repeat(one, problem.batch), device, 'sync');
    const first = { out: entry(out, problem.batch, 0), lastState: entry(lastState, problem.batch, 0) };
    expect(complaintsAgainstReference(one, first)).toEqual([]);
    for (let b = 1; b < problem.batch; b++) {
      const same =
        equal(entry(out, problem.batch, b), first.out) && equal(entry(lastState, problem.batch, b), first.lastState);
      expect({ entry: b, same }).toEqual({ entry: b, same: true });
    }
  });
});

function repeat(one: ScanCase, batch: number): ScanCase {
  const times = (values: Float64Array): Float64Array => {
    const all = new Float64Array(batch * values.length);
    for (let b = 0; b < batch; b++) all.set(values, b * values.length);
    return all;
  };
  const { u, delta, B, C, z, initialState } = one;
  return {
    ...one,
    batch,
    u: times(u),
    delta: times(delta),
    B: one.constantB ? B : times(B),
    C: one.constantC ? C : times(C),
    ...(z && { z: times(z) }),
    ...(initialState && { initialState: times(initialState) }),
  };
}

function entry(values: ArrayLike<number>, batch: number, b: number): Float64Array {
  const size = values.length / batch;
  return Float64Array.from({ length: size }, (_, i) => values[b * size + i] as number);
}

function equal(a: Float64Array, b: Float64Array): boolean {
  return a.every((value, i) => Object.is(value, b[i]));
}
