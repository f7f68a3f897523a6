import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Tensor } from 'selective-scan';
import { MambaForCausalLM } from 'selective-scan/mamba';
import { relativeError } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import {
  type GoldenPass,
  type GoldenPrompt,
  largestDifference,
  readGolden,
  readGoldenLogits,
  readGoldenPass,
} from './support/golden-model';
import { checkpointNames, goldenCheckpoint, trainedModel } from './support/model-files';
import './support/patience';

/** Of logits in float32 against float64. */
const bound = 2e-4;

describeOnEachDevice((device) => {
  describe.each(checkpointNames)('the checkpoint %s', (name) => {
    const golden = readGoldenLogits(name);
    let model: MambaForCausalLM;
    beforeAll(async () => {
      model = await MambaForCausalLM.load(goldenCheckpoint(name), { device, dtype: 'float32' });
    });
    afterAll(() => model.dispose());

    test('logits of all tokens, the rows packed', async () => {
      const { logits, state } = await model.forward(golden.rows, { logits: 'all' });
      expect(largestDifference(await logits.toArray(), golden.logits)).toBeLessThan(bound);
      expect(state.batch).toBe(golden.rows.length);
    });

    test('logits of all tokens, step by step', async () => {
      const { vocabSize } = model.config;
      const tokens = golden.rows[0].length;
      using state = model.newState(golden.rows.length);
      for (let t = 0; t < tokens; t++) {
        using logits =
          t % 2 ? model.stepSync(column(golden.rows, t), state) : await model.step(column(golden.rows, t), state);
        const want = golden.rows.flatMap((_, row) => {
          const start = (row * tokens + t) * vocabSize;
          return Array.from(golden.logits.subarray(start, start + vocabSize));
        });
        expect(largestDifference(await logits.toArray(), want)).toBeLessThan(bound);
      }
    });

    test('greedy tokens', async () => {
      expect(await tokensOf(model, golden.prompt, golden.greedy.length)).toEqual(golden.greedy);
    });
  });

  describe('tiny-code-lm', () => {
    const golden = readGolden();
    let pass: GoldenPass;
    let model: MambaForCausalLM;
    beforeAll(async () => {
      pass = readGoldenPass();
      model = await MambaForCausalLM.load(trainedModel('tiny-code-lm'), { device, dtype: 'float32' });
    });
    afterAll(() => model.dispose());

    test('hidden states, layer by layer, and logits', async () => {
      const { logits, hiddenStates } = await model.forward(pass.ids, { logits: 'all', hiddenStates: true });
      expect(hiddenStates).toHaveLength(pass.hidden.length);
      for (const [i, hidden] of (hiddenStates as Tensor[]).entries()) {
        expect(hidden.dims).toEqual([1, pass.ids.length, model.config.hiddenSize]);
        expect(relativeError(await hidden.toArray(), pass.hidden[i])).toBeLessThan(5e-6);
      }
      expect(largestDifference(await logits.toArray(), pass.logits)).toBeLessThan(bound);
    });

    test('the held-out loss', async () => {
      let sum = 0;
      for (const [i, window] of golden.heldout.windows.entries()) {
        const { logprobs } = await model.score(window);
        const loss = -logprobs.reduce((total, value) => total + value, 0) / logprobs.length;
        expect(Math.abs(loss - golden.heldout.per_window_nll[i])).toBeLessThan(0.002);
        sum += loss;
      }
      expect(Math.abs(sum / golden.heldout.windows.length - golden.heldout.mean_nll)).toBeLessThan(0.002);
    });

    test.each(golden.prompts.map((prompt): [string, GoldenPrompt] => [prompt.prompt, prompt]))(
      'greedy text after %j',
      async (_name, prompt) => {
        const { input_ids: ids, greedy_ids: greedy, min_top2_margin: margin } = prompt;
        const made = await tokensOf(model, ids, greedy.length);
        const same = margin < 0.02 ? await certainTokens(model, ids, greedy) : greedy.length;
        expect(made.slice(0, same)).toEqual(greedy.slice(0, same));
        if (margin >= 0.02) expect(model.tokenizer?.decode(made)).toBe(prompt.greedy_text);
      },
    );

    test('weights as they are stored, in bfloat16', async () => {
      using stored = await MambaForCausalLM.load(trainedModel('tiny-code-lm'), { device });
      expect(stored.dtype).toBe('bfloat16');
      const { logprobs } = await stored.score(golden.heldout.windows[0]);
      const loss = -logprobs.reduce((total, value) => total + value, 0) / logprobs.length;
      expect(Math.abs(loss - golden.heldout.per_window_nll[0])).toBeLessThan(0.02);
    });
  });
});

function column(rows: number[][], t: number): number[] {
  return rows.map((row) => row[t] as number);
}

async function tokensOf(model: MambaForCausalLM, prompt: number[], maxTokens: number): Promise<number[]> {
  const made: number[] = [];
  for await (const { token } of model.generateTokens(prompt, { maxTokens, stopTokens: [] })) made.push(token);
  return made;
}

/** How many tokens there are before the first whose two best logits are closer than 0.02. */
async function certainTokens(model: MambaForCausalLM, prompt: number[], greedy: number[]): Promise<number> {
  const { vocabSize } = model.config;
  using logits = (await model.forward([...prompt, ...greedy], { logits: 'all' })).logits;
  const values = await logits.toArray();
  for (let i = 0; i < greedy.length; i++) {
    const start = (prompt.length - 1 + i) * vocabSize;
    const [best, second] = Float64Array.from(values.subarray(start, start + vocabSize))
      .sort()
      .slice(-2)
      .reverse();
    if (best - second < 0.02) return i;
  }
  return greedy.length;
}
