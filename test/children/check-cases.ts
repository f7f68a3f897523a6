// Prints what the CPU is and what is wrong with its results: for a vector set or a number of threads set from outside.
import { devices } from 'selective-scan';
import { callWithTensors } from '../support/call';
import { complaintsAgainstReference } from '../support/closeness';
import { goldenCase, goldenNames } from '../support/golden-cases';
import { type CaseSpec, randomCase } from '../support/random-case';

const odd: Partial<CaseSpec>[] = [
  { dim: 17, dstate: 7, initialState: true },
  { dim: 17, dstate: 20, layout: 'bld', dtype: 'bfloat16' },
  { dim: 18, groups: 3, layout: 'bld', complex: true, dtype: 'float16' },
  { dim: 1, batch: 1, seqlen: 5000 },
  { dim: 5, batch: 1, seqlen: 1000, cuSeqlens: [0, 0, 1, 999, 1000] },
];

async function main(): Promise<void> {
  const problems = [...goldenNames.map((name) => goldenCase(name).problem), ...odd.map((change) => randomCase(change))];
  const found: string[] = [];
  for (const [i, problem] of problems.entries()) {
    found.push(
      ...complaintsAgainstReference(problem, await callWithTensors(problem, 'cpu', 'promise'), `problem ${i}`),
    );
  }
  console.log(JSON.stringify({ cpu: devices()[0], problems: problems.length, found }));
}

main();
