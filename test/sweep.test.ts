import { expect, test } from '@jest/globals';
import { callWithArrays, callWithTensors, fitsTypedArrays } from './support/call';
import { complaintsAgainstReference } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import { type Random, seeded } from './support/random';
import { type CaseSpec, randomCase } from './support/random-case';
import './support/patience';

// The tables change one thing at a time; here everything changes at once, in small problems.
const problems = 300;
const flips = [false, true] as const;

function randomSpec(random: Random, seed: number): CaseSpec {
  const groups = random.pick([1, 1, 2, 3]);
  const seqlen = random.pick([1, 2, 7, 16, 33, 64, 65, 130]);
  const packed = random.pick([true, false, false]);
  return {
    batch: packed ? 1 : random.integer(1, 4),
    dim: groups * random.integer(1, 12),
    seqlen,
    dstate: random.pick([1, 2, 3, 7, 8, 16, 17, 32]),
    groups,
    dtype: random.pick(['float32', 'float16', 'bfloat16'] as const),
    layout: random.pick(['bdl', 'bld'] as const),
    complex: random.pick(flips),
    constantB: random.pick(flips),
    constantC: random.pick(flips),
    explicitGroups: random.pick(flips),
    deltaSoftplus: random.pick(flips),
    D: random.pick(flips),
    z: random.pick(flips),
    deltaBias: random.pick(flips),
    initialState: random.pick(flips),
    cuSeqlens: packed ? randomCuts(random, seqlen) : undefined,
    deltaRange: [0, 0.5],
    seed,
  };
}

function randomCuts(random: Random, seqlen: number): number[] {
  const cuts = Array.from({ length: random.integer(0, 5) }, () => random.integer(0, seqlen));
  return [0, ...cuts.sort((a, b) => a - b), seqlen];
}

describeOnEachDevice((device) => {
  test(`${problems} random problems`, async () => {
    const random = seeded(20_231_201);
    const found: string[] = [];
    for (let seed = 0; seed < problems; seed++) {
      const spec = randomSpec(random, seed);
      const problem = randomCase(spec);
      const form = random.pick(['promise', 'sync'] as const);
      const call = fitsTypedArrays(problem) && random.pick(flips) ? callWithArrays : callWithTensors;
      found.push(...complaintsAgainstReference(problem, await call(problem, device, form), JSON.stringify(spec)));
    }
    expect(found).toEqual([]);
  });
});
