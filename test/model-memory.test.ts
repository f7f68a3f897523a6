import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MambaForCausalLM } from 'selective-scan/mamba';
import { describeOnEachDevice } from './support/devices';
import { packageRoot } from './support/files';
import { goldenCheckpoint, trainedModel } from './support/model-files';
import { loadTextModel, textOf } from './support/text-model';
import './support/patience';

/** Counts the memories that JavaScript holds, through the package's internal entry. */
const { native } = require(join(packageRoot, 'dist/native.js')) as { native: () => any };
let held = 0;

beforeAll(() => {
  const module = native();
  for (const name of ['allocate', 'share']) {
    const make = module[name];
    module[name] = (...args: unknown[]) => {
      held++;
      return make(...args);
    };
  }
  const release = module.release;
  module.release = (memory: unknown) => {
    held--;
    return release(memory);
  };
});

describeOnEachDevice((device) => {
  let model: MambaForCausalLM;
  beforeAll(async () => {
    model = await loadTextModel(device);
  });
  afterAll(() => model.dispose());

  const uses: [string, () => Promise<unknown>][] = [
    ['a generation', () => textOf(model, 'def f(', { maxTokens: 5, temperature: 1, repetitionPenalty: 1.1 })],
    [
      'one that is broken off',
      async () => {
        for await (const _ of model.generate('def f(', { maxTokens: 20 })) break;
      },
    ],
    ['one that is aborted', () => textOf(model, 'x', { signal: AbortSignal.abort() }).catch(() => undefined)],
    [
      'a batch',
      async () => {
        for await (const _ of model.generateBatch(['a', 'b c d'], { maxTokens: 4 }));
      },
    ],
    ['a score', () => model.score('import os')],
    [
      'a pass',
      async () => {
        const { logits, state, hiddenStates = [] } = await model.forward([1, 2], { logits: 'all', hiddenStates: true });
        for (const own of [logits, state, ...hiddenStates]) own.dispose();
      },
    ],
    ['a pass that is aborted', () => model.forward([1], { signal: AbortSignal.abort() }).catch(() => undefined)],
    [
      'states',
      async () => {
        using state = model.newState(2);
        using clone = state.clone();
        (await model.step([1, 2], state)).dispose();
        model.stepSync([3, 4], clone).dispose();
        (await model.restoreState(await state.save())).dispose();
      },
    ],
    ['a load', async () => (await MambaForCausalLM.load(goldenCheckpoint('falcon'), { device })).dispose()],
    [
      'a load that fails',
      () => {
        const onProgress = ({ done }: { done: number }) => {
          if (done > 3e6) throw new Error('enough');
        };
        return MambaForCausalLM.load(trainedModel('tiny-code-lm'), { device, onProgress }).catch(() => undefined);
      },
    ],
  ];

  test.each(uses)('%s leaves no memory behind', async (_name, use) => {
    const before = held;
    await use();
    expect(held).toBe(before);
  });
});
