// Prints what the CPU is and what is wrong with its results: for a vector set or a number of threads set from outside.
import { devices } from 'selective-scan';
import { callWithTensors } from '../support/call';
import { complaintsAgainstReference } from '../support/closeness';
import { goldenCase, goldenNames } from '../support/golden-cases';
import { callLinear, type LinearSpec, linearCase, linearComplaints } from '../support/linear-case';
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

const products: LinearSpec[] = [
  { rows: 1, in: 70, out: 50, biasDType: 'float32' },
  ...[2, 3, 4, 5, 6, 7, 8].map((rows): LinearSpec => ({ rows, in: 37, out: 21, weightDType: 'bfloat16' })),
  { rows: 31, in: 3001, out: 90, dtype: 'bfloat16', weightDType: 'bfloat16', split: [50, 17, 23] },
  { rows: 500, in: 130, out: 257, dtype: 'float16', weightDType: 'float16', biasDType: 'float16' },
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
  for (const [i, spec] of products.entries()) {
    const problem = linearCase(spec);
    found.push(...linearComplaints(problem, await callLinear(problem, 'cpu')).map((text) => `product ${i} ${text}`));
  }
  console.log(JSON.stringify({ cpu: devices()[0], problems: problems.length, found }));
}

main();
