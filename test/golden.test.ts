import { describe, expect, test } from '@jest/globals';
import { type CallResult, callWithArrays, callWithTensors, type Form, fitsTypedArrays } from './support/call';
import { complaints, limitsOf } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import { goldenCase, goldenNames } from './support/golden-cases';
import { type ScanCase, sequenceToLayout, toLayout } from './support/scan-case';
import './support/patience';

const layouts = ['bdl', 'bld'] as const;
const forms: Form[] = ['promise', 'sync'];
const kinds = { tensors: callWithTensors, 'typed arrays': callWithArrays };

describeOnEachDevice((device) => {
  describe.each(goldenNames)('%s', (name) => {
    const { problem, want } = goldenCase(name);
    const limits = limitsOf(problem, want);

    for (const [kind, call] of Object.entries(kinds)) {
      if (kind === 'typed arrays' && !fitsTypedArrays(problem)) continue; // no such array type in this runtime
      test.each(layouts)(`${kind}, %s`, async (layout) => {
        for (const form of forms) {
          const got = await call(toLayout(problem, layout), device, form);
          expect(got.device).toBe(device);
          expect(complaints(inBdl(got, problem, layout), want, limits, form)).toEqual([]);
        }
      });
    }
  });
});

function inBdl(got: CallResult, problem: ScanCase, layout: ScanCase['layout']): CallResult {
  return { ...got, out: sequenceToLayout(got.out, { ...problem, layout }, 'bdl') };
}
