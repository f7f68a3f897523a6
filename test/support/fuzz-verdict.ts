import { SelectiveScanError } from 'selective-scan';
import { complaints, limitsOf, type Outputs, outBound, stateBound } from './closeness';
import { type CallPlan, makeCall, prepareCall, problemOf, updateOf } from './fuzz-calls';
import { type Draft, isTensor } from './fuzz-draft';
import { randomCase } from './random-case';
import { referenceScan } from './reference';
import { updateComplaints } from './update-case';

/**
 * How many times beyond its limits a result may be. A few elements that cancel can miss them by luck in one call of
 * many thousands, and a wrong answer misses them by far more.
 */
export const slack = 16;

/** What is wrong with how a call went; nothing if it is right or failed with a code that fits what is wrong with it. */
export async function complaintsAboutCall(plan: CallPlan, device: string): Promise<string[]> {
  const { draft, codes } = prepareCall(plan, device);
  return complaintsAboutDraft(draft, codes, (result) => {
    return plan.op === 'scan' ? scanComplaints(plan, result) : stateComplaints(plan, result, draft.operands.state);
  });
}

/** Makes a call, which has to fail with one of the codes, or without any to give what `judge` has no complaints about. */
export async function complaintsAboutDraft(
  draft: Draft,
  codes: ReadonlySet<string>,
  judge: (result: any) => Promise<string[]>,
): Promise<string[]> {
  try {
    let result: any;
    try {
      result = await makeCall(draft);
    } catch (error) {
      return complaintsAboutError(error, draft.mayAbort ? new Set([...codes, 'ERR_ABORTED']) : codes);
    }
    draft.tensors.push(
      ...Object.values(result)
        .flat()
        .filter((value) => isTensor(value)),
    );
    if (codes.size > 0) return [`went well, but had to fail with ${[...codes].join(' or ')}`];
    const where = result.device === draft.device ? [] : [`ran on ${result.device}`];
    return [...where, ...(await judge(result))];
  } finally {
    for (const tensor of draft.tensors) tensor.dispose();
  }
}

/** An error has to be the package's, with one of these codes and a sentence. */
export function complaintsAboutError(error: unknown, codes: ReadonlySet<string>): string[] {
  if (!(error instanceof SelectiveScanError)) return [`an error that is not the package's: ${(error as Error)?.stack}`];
  if (!codes.has(error.code)) {
    return [`${error.code}, but expected ${[...codes].join(' or ') || 'no error'}: ${error.stack}`];
  }
  return /^\S.*\.$/s.test(error.message) ? [] : [`no sentence: ${error.message}`];
}

async function scanComplaints(plan: CallPlan, result: any): Promise<string[]> {
  const problem = problemOf(plan);
  const want = referenceScan(problem);
  const out = await valuesOf(result.out);
  if (plan.returnsState !== 'lastState' in result) return ['lastState is there or not, against returnLastState'];
  const lastState = plan.returnsState ? await valuesOf(result.lastState) : Float64Array.from(want.lastState);
  const got = { out, lastState };
  if (plan.poison.length > 0) return [...strayNumbers(got, want), ...closeness(plan, got, want)];
  return closeness(plan, got, want);
}

function closeness(plan: CallPlan, got: Outputs, want: { out: Float64Array; lastState: Float64Array }): string[] {
  const stated = { out: outBound[plan.spec.dtype], lastState: stateBound };
  if (complaints(got, want, stated).length === 0) return [];
  // Without the poison: what that leaves of a result is as hard to compute as it was.
  const clean = randomCase(plan.spec);
  const { out, lastState } = limitsOf(clean, referenceScan(clean));
  return complaints(got, want, { out: slack * out, lastState: slack * lastState });
}

/** Where the reference gives no finite number, so must the result; elements where both do so are then set to 0. */
function strayNumbers(got: Outputs, want: { out: Float64Array; lastState: Float64Array }): string[] {
  return (['out', 'lastState'] as const).flatMap((name) => {
    const [ours, theirs] = [got[name] as Float64Array, want[name]];
    const stray = theirs.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(ours[i]));
    for (let i = 0; i < theirs.length; i++) {
      if (!Number.isFinite(theirs[i])) ours[i] = theirs[i] = 0;
    }
    return stray < 0 ? [] : [`${name}[${stray}] is a number, where the reference has none`];
  });
}

async function stateComplaints(plan: CallPlan, result: any, state: unknown): Promise<string[]> {
  if (plan.returnsState !== 'states' in result) return ['states are there or not, against returnStates'];
  const got = {
    out: await valuesOf(result.out),
    states: result.states && (await valuesOf(result.states)),
    pool: await valuesOf(state),
  };
  return updateComplaints(updateOf(plan), got, slack);
}

export async function valuesOf(array: unknown): Promise<Float64Array> {
  return Float64Array.from(isTensor(array) ? await array.toArray() : (array as Float32Array));
}
