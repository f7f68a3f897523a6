// Prints what the CPU is and what is wrong with its results: for a vector set or a number of threads set from outside.
import { devices } from 'selective-scan';
import { callWithTensors } from '../support/call';
import { complaintsAgainstReference } from '../support/closeness';
import { goldenCase, goldenNames } from '../support/golden-cases';
import { type CaseSpec, randomCase } from '../support/random-case';
import { callUpdate, type UpdateSpec, updateCase, updateComplaints } from '../support/update-case';

const odd: Partial<CaseSpec>[] = [
  { dim: 17, dstate: 7, initialState: true },
  { dim: 17, dstate: 20, layout: 'bld', dtype: 'bfloat16' },
  { dim: 18, groups: 3, layout: 'bld', complex: true, dtype: 'float16' },
  { dim: 1, batch: 1, seqlen: 5000 },
  { dim: 5, batch: 1, seqlen: 1000, cuSeqlens: [0, 0, 1, 999, 1000] },
];

const updates: UpdateSpec[] = [
  { dim: 17, tokens: 2 },
  { dim: 17, dstate: 7, dtype: 'bfloat16', stateDType: 'float16' },
  { dim: 18, groups: 3, dstate: 20, tokens: 20, dtype: 'float16', stateDType: 'bfloat16' },
  { batch: 9, dim: 1030, slots: [8, 7, -1, 5, 4, 3, 2, 1, 0] },
];

async function main(): Promise<void> {
  const problems = [...goldenNames.map((name) => goldenCase(name).problem), ...odd.map((change) => randomCase(change))];
  const found: string[] = [];
  for (const [i, problem] of problems.entries()) {
    found.push(
      ...complaintsAgainstReference(problem, await callWithTensors(problem, 'cpu', 'promise'), `problem ${i}`),
    );
  }
  for (const [i, spec] of updates.entries()) {
    const problem = updateCase(spec);
    found.push(...updateComplaints(problem, await callUpdate(problem, 'cpu')).map((text) => `update ${i} ${text}`));
  }
  console.log(JSON.stringify({ cpu: devices()[0], problems: problems.length, found }));
}

main();
