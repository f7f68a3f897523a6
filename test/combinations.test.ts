import { describe, expect, test } from '@jest/globals';
import { callWithArrays, callWithTensors, fitsTypedArrays } from './support/call';
import { complaints, complaintsAgainstReference, limitsOf } from './support/closeness';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { type CaseSpec, randomCase } from './support/random-case';
import { referenceScan } from './support/reference';
import './support/patience';

type Row = [name: string, reason: string, change: Partial<CaseSpec>];

const sizes: Row[] = [
  ['base', 'an ordinary problem', {}],
  ['dim 1', 'less than a vector of channels', { dim: 1 }],
  ['dim 3', 'a few lanes', { dim: 3 }],
  ['dim 17', 'one more than a vector of 16', { dim: 17 }],
  ['dim 130', 'two over a block of 128', { dim: 130 }],
  ['dstate 1', 'no loop over states', { dstate: 1 }],
  ['dstate 2', 'fewer states than lanes', { dstate: 2 }],
  ['dstate 7', 'odd', { dstate: 7 }],
  ['dstate 20', 'more than the usual 16 and not a power of two', { dstate: 20 }],
  ['dstate 64', 'too many for one pass of registers', { dstate: 64 }],
  ['dstate 256', 'what mamba_ssm stops at', { dstate: 256, dim: 5 }],
  ['dstate 300', 'beyond what mamba_ssm takes', { dstate: 300, dim: 5 }],
  ['seqlen 1', 'one step', { seqlen: 1 }],
  ['seqlen 2', 'one step after another', { seqlen: 2 }],
  ['seqlen 7', 'less than a vector of times', { seqlen: 7 }],
  ['seqlen 63', 'one short of a tile', { seqlen: 63 }],
  ['seqlen 64', 'exactly a tile', { seqlen: 64 }],
  ['seqlen 257', 'one over several tiles', { seqlen: 257 }],
  ['seqlen 1000', 'several tiles, the last in part', { seqlen: 1000, dim: 17 }],
  ['batch 1', 'no batch to spread over threads', { batch: 1 }],
  ['batch 5', 'odd', { batch: 5 }],
  ['all sizes 1', 'the smallest problem', { batch: 1, dim: 1, seqlen: 1, dstate: 1 }],
  ['groups 3', 'several channels a group', { groups: 3 }],
  ['groups 33', 'a channel a group', { groups: 33 }],
  ['explicit group', 'B and C with a group axis of 1', { explicitGroups: true }],
];

const options: Row[] = [
  ['no D', 'nothing to add', { D: false }],
  ['no z', 'no gate', { z: false }],
  ['no deltaBias', 'delta as it is', { deltaBias: false }],
  ['no deltaSoftplus', 'delta is the step', { deltaSoftplus: false }],
  ['tiny steps', 'log(1 + e^x) taken naively is 1% wrong here', { deltaRange: [-20, -10], deltaBias: false, D: false }],
  ['none of them', 'the bare recurrence', { D: false, z: false, deltaBias: false, deltaSoftplus: false }],
  ['initial state', 'goes on where another call stopped', { initialState: true }],
  ['packed', 'sequences of unequal length, one empty', { batch: 1, cuSeqlens: [0, 20, 20, 21, 65] }],
  ['packed with states', 'each has its own', { batch: 1, cuSeqlens: [0, 1, 30, 65], initialState: true }],
];

// B and C may each vary or not, and A be complex or not, in each dtype and layout: other code for each.
const kernels: Row[] = (['float32', 'float16', 'bfloat16'] as const).flatMap((dtype) =>
  (['bdl', 'bld'] as const).flatMap((layout) =>
    [false, true].flatMap((complex) =>
      [false, true].flatMap((constantB) =>
        [false, true].map((constantC): Row => {
          const words = [complex ? 'complex' : 'real', constantB ? 'B constant' : '', constantC ? 'C constant' : ''];
          const name = [dtype, layout, ...words].filter((word) => word !== '').join(', ');
          return [name, 'its own kernel', { dtype, layout, complex, constantB, constantC, groups: 3 }];
        }),
      ),
    ),
  ),
);

const rows = [...sizes, ...options, ...kernels];

describeOnEachDevice((device) => {
  test.each(rows)('%s: %s', async (_name, _reason, change) => {
    const problem = randomCase(change);
    expect(complaintsAgainstReference(problem, await callWithTensors(problem, device, 'promise'))).toEqual([]);
    if (!fitsTypedArrays(problem)) return;
    expect(complaintsAgainstReference(problem, await callWithArrays(problem, device, 'promise'))).toEqual([]);
  });

  test.each(sizes)('in the other layout, %s: %s', async (_name, _reason, change) => {
    const problem = randomCase({ ...change, layout: 'bld' });
    expect(complaintsAgainstReference(problem, await callWithTensors(problem, device, 'promise'))).toEqual([]);
  });

  describe.each(['bdl', 'bld'] as const)('%s', (layout) => {
    test('batch 0 gives an empty result', async () => {
      for (const call of [callWithArrays, callWithTensors]) {
        for (const form of ['promise', 'sync'] as const) {
          const got = await call(randomCase({ batch: 0, layout }), device, form);
          expect(got.out).toHaveLength(0);
          expect(got.lastState).toHaveLength(0);
        }
      }
    });

    test('batch 70000, more than a grid axis has blocks', async () => {
      const problem = randomCase({ batch: 70_000, dim: 2, seqlen: 3, dstate: 2, layout });
      expect(complaintsAgainstReference(problem, await callWithTensors(problem, device, 'promise'))).toEqual([]);
    });
  });
});

describeOnGpus((device) => {
  test.each(rows)('CPU and GPU agree, %s: %s', async (_name, _reason, change) => {
    const problem = randomCase(change);
    const limits = limitsOf(problem, referenceScan(problem));
    const onCpu = await callWithTensors(problem, 'cpu', 'promise');
    expect(complaints(await callWithTensors(problem, device, 'promise'), onCpu, limits)).toEqual([]);
  });
});
