import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MambaForCausalLM } from 'selective-scan/mamba';
import { describeOnEachDevice } from './support/devices';
import { trainedModel } from './support/model-files';
import { seeded } from './support/random';
import { tokensOf } from './support/text-model';
import './support/patience';

const marker = 16;
const questions = 20;

describeOnEachDevice((device) => {
  let model: MambaForCausalLM;
  beforeAll(async () => {
    model = await MambaForCausalLM.load(trainedModel('induction-heads'), { device });
  });
  afterAll(() => model.dispose());

  /** Noise of tokens 0 to 15, in which the marker stands before the answer, and once more at the end. */
  function ask(length: number, seed: number): { tokens: Int32Array; answer: number } {
    const { integer } = seeded(seed);
    const tokens = Int32Array.from({ length }, () => integer(0, 15));
    const at = integer(0, length - 3);
    tokens[at] = marker;
    tokens[length - 1] = marker;
    return { tokens, answer: tokens[at + 1] };
  }

  test.each(device === 'cpu' ? [64, 65_536] : [65_536, 1_048_576])(
    'one token is recalled out of %d, each time',
    async (length) => {
      const found: number[] = [];
      const answers: number[] = [];
      for (let seed = 1; seed <= questions; seed++) {
        const { tokens, answer } = ask(length, seed);
        found.push(...(await tokensOf(model, tokens, { maxTokens: 1 })));
        answers.push(answer);
      }
      expect(found).toEqual(answers);
    },
    240_000,
  );

  test('a model without a tokenizer takes token ids only, and several sequences at once', async () => {
    const asked = [100, 3000, 500].map((length, i) => ask(length, 50 + i));
    const found: number[] = [];
    const prompts = asked.map(({ tokens }) => tokens);
    for await (const { index, token, text } of model.generateBatch(prompts, { maxTokens: 1 })) {
      found[index] = token;
      expect(text).toBe('');
    }
    expect(found).toEqual(asked.map(({ answer }) => answer));
  });
});
