import { expect, test } from '@jest/globals';
import { callWithArrays, callWithTensors } from './support/call';
import { complaints, outBound, stateBound } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import { realActivationsFile } from './support/files';
import { problemOf, valuesOf } from './support/golden-cases';
import { readSafetensors } from './support/safetensors';

// One layer of a trained model on source text: a distribution no random generator gives.
const stored = readSafetensors(realActivationsFile);
const problem = problemOf(stored, { softplus: true });
const want = valuesOf(stored);
const limits = { out: outBound.float32, lastState: stateBound };

describeOnEachDevice((device) => {
  test.each([
    ['typed arrays', callWithArrays],
    ['tensors', callWithTensors],
  ])('real activations as %s', async (_, call) => {
    expect(complaints(await call(problem, device, 'promise'), want, limits)).toEqual([]);
  });
});
