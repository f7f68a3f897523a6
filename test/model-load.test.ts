import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { MambaForCausalLM, type Progress } from 'selective-scan/mamba';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import { newFolder } from './support/folders';
import { largestDifference, readGoldenLogits } from './support/golden-model';
import {
  copyCheckpoint,
  cutIntoShards,
  goldenCheckpoint,
  tensorBytes,
  trainedModel,
  writeTensors,
} from './support/model-files';
import { loadRandomModel, tokensOf } from './support/text-model';
import './support/patience';

const golden = readGoldenLogits('plain');

describeOnEachDevice((device) => {
  async function differenceOf(folder: string, options: object = {}): Promise<number> {
    using model = await MambaForCausalLM.load(folder, { device, ...options });
    const { logits } = await model.forward(golden.rows, { logits: 'all' });
    return largestDifference(await logits.toArray(), golden.logits);
  }

  test('shards', async () => {
    const folder = copyCheckpoint('plain', newFolder());
    cutIntoShards(folder);
    expect(await differenceOf(folder, { dtype: 'float32' })).toBeLessThan(2e-4);
  });

  test('the old name of the embeddings', async () => {
    const folder = copyCheckpoint('plain', newFolder());
    const file = join(folder, 'model.safetensors');
    const renamed = [...tensorBytes(readFileSync(file))].map(([name, entry]): [string, typeof entry] => [
      name.replace('embeddings', 'embedding'),
      entry,
    ]);
    rmSync(file);
    writeTensors(file, renamed);
    expect(await differenceOf(folder, { dtype: 'float32' })).toBeLessThan(2e-4);
  });

  test.each([
    ['float32', 2e-4],
    ['float16', 0.02],
    ['bfloat16', 0.2],
  ] as const)('weights in %s', async (dtype, bound) => {
    using model = await MambaForCausalLM.load(goldenCheckpoint('plain'), { device, dtype });
    expect(model).toMatchObject({ dtype, device });
    const difference = await differenceOf(goldenCheckpoint('plain'), { dtype });
    expect(difference).toBeLessThan(bound);
  });

  test('says how far it is', async () => {
    const seen: Progress[] = [];
    const onProgress = (progress: Progress) => seen.push(progress);
    using model = await MambaForCausalLM.load(trainedModel('tiny-code-lm'), { device, onProgress });
    expect(seen.length).toBeGreaterThan(model.config.numHiddenLayers);
    const { total } = seen[0];
    expect(seen.at(-1)).toEqual({ done: total, total });
    expect(seen.every(({ done }, i) => done > (seen[i - 1]?.done ?? 0))).toBe(true);
    expect(model.parameters).toBeGreaterThan(total / 4);
  });

  test('can be aborted', async () => {
    const controller = new AbortController();
    const onProgress = ({ done, total }: Progress) => {
      if (done > total / 2) controller.abort();
    };
    const options = { device, signal: controller.signal, onProgress };
    const loading = MambaForCausalLM.load(trainedModel('tiny-code-lm'), options);
    expectFailure(await rejectionOf(loading), { code: 'ERR_ABORTED', about: 'aborted' });
  });

  test.each([
    ['a folder that is not there', 'nowhere', {}, 'ERR_CHECKPOINT', 'config.json'],
    ['a dtype of integers', goldenCheckpoint('plain'), { dtype: 'int32' }, 'ERR_DTYPE', 'int32'],
    ['an unknown option', goldenCheckpoint('plain'), { dtpye: 'float32' }, 'ERR_OPTION', 'dtpye'],
  ])('refuses %s', async (_name, folder, options, code, about) => {
    const loading = MambaForCausalLM.load(folder, { device, ...(options as object) });
    expectFailure(await rejectionOf(loading), { code, about });
  });

  test('refuses a tokenizer that is broken, before it reads the weights', async () => {
    const folder = copyCheckpoint('plain', newFolder());
    cpSync(join(folder, 'config.json'), join(folder, 'tokenizer.json'));
    const read: Progress[] = [];
    const loading = MambaForCausalLM.load(folder, { device, onProgress: (progress) => read.push(progress) });
    expectFailure(await rejectionOf(loading), { code: 'ERR_CHECKPOINT', about: 'tokenizer.json' });
    expect(read).toEqual([]);
  });

  test('a model of random weights runs in each dtype, and is the same each time', async () => {
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
      using model = await loadRandomModel(device, {}, dtype);
      using again = await loadRandomModel(device, {}, dtype);
      expect(model.dtype).toBe(dtype);
      expect(await tokensOf(model, [1, 2, 3], { maxTokens: 5 })).toEqual(
        await tokensOf(again, [1, 2, 3], { maxTokens: 5 }),
      );
    }
  });
});

test('a config that is none', async () => {
  const failure = { code: 'ERR_CHECKPOINT', about: 'hidden_size' };
  expectFailure(await rejectionOf(MambaForCausalLM.fromConfig({ model_type: 'mamba', hidden_size: -1 })), failure);
});

test('a named device that is missing is an error', async () => {
  const loading = MambaForCausalLM.load(goldenCheckpoint('plain'), { device: 'cuda:99' });
  expectFailure(await rejectionOf(loading), { code: 'ERR_DEVICE', about: 'cuda:99' });
});
