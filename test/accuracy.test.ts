import { expect, test } from '@jest/globals';
import { callWithTensors } from './support/call';
import { complaints, complaintsAgainstReference, outBound, stateBound } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import { type CaseSpec, randomCase } from './support/random-case';
import { referenceScan } from './support/reference';
import './support/patience';

interface Row {
  name: string;
  change: Partial<CaseSpec>;
}

const rows: Row[] = [
  // Errors of a step must not add up over the steps after it.
  { name: 'seqlen 65536', change: { batch: 1, dim: 3, seqlen: 65536 } },
  // softplus from 2e-9 to the identity above 20, in one sequence.
  { name: 'delta from -20 to 30', change: { dim: 8, seqlen: 512, deltaRange: [-20, 30] } },
  { name: 'both', change: { batch: 1, dim: 3, seqlen: 65536, deltaRange: [-20, 30] } },
];

describeOnEachDevice((device) => {
  for (const { name, change } of rows) {
    test.each(['float32', 'float16', 'bfloat16'] as const)(
      `${name}, %s`,
      async (dtype) => {
        const problem = randomCase({ ...change, dtype });
        const limits = { out: outBound[dtype], lastState: stateBound };
        const got = await callWithTensors(problem, device, 'promise');
        expect(complaints(got, referenceScan(problem), limits)).toEqual([]);
      },
      20_000,
    );
  }

  test.each([false, true])('a delta of minus infinity is a step of 0 (complex: %s)', async (complex) => {
    const problem = randomCase({ complex });
    for (let i = 0; i < problem.delta.length; i += 7) problem.delta[i] = Number.NEGATIVE_INFINITY;
    const got = await callWithTensors(problem, device, 'promise');
    expect(complaintsAgainstReference(problem, got)).toEqual([]);
  });
});
