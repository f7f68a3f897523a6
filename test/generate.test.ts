import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { GeneratedToken, GenerateOptions, MambaForCausalLM } from 'selective-scan/mamba';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import { readGolden } from './support/golden-model';
import { loadRandomModel, loadTextModel, textOf, tokensOf } from './support/text-model';
import './support/patience';

const golden = readGolden().prompts.filter(({ min_top2_margin: margin }) => margin > 0.02);
const { prompt, input_ids: ids, greedy_ids: greedy, greedy_text: greedyText } = golden[0];

describeOnEachDevice((device) => {
  let model: MambaForCausalLM;
  beforeAll(async () => {
    model = await loadTextModel(device);
  });
  afterAll(() => model.dispose());

  async function all(options: GenerateOptions, from: string | number[] = prompt): Promise<GeneratedToken[]> {
    const tokens: GeneratedToken[] = [];
    for await (const token of model.generateTokens(from, options)) tokens.push(token);
    return tokens;
  }

  test('text and ids are two forms of one thing', async () => {
    const maxTokens = greedy.length;
    expect(await textOf(model, prompt, { maxTokens })).toBe(greedyText);
    expect(await textOf(model, ids, { maxTokens })).toBe(greedyText);
    expect(await tokensOf(model, prompt, { maxTokens })).toEqual(greedy);
    expect(await tokensOf(model, Int32Array.from(ids), { maxTokens })).toEqual(greedy);
  });

  test('the texts of tokens make up the text, and the last says why it ends', async () => {
    const tokens = await all({ maxTokens: 30 });
    expect(tokens.map(({ text }) => text).join('')).toBe(await textOf(model, prompt, { maxTokens: 30 }));
    expect(tokens.map(({ finish }) => finish)).toEqual([...Array(29).fill(undefined), 'max-tokens']);
    expect(await all({ maxTokens: 0 })).toEqual([]);
  });

  test('a stop token ends it', async () => {
    const stop = greedy[3];
    const tokens = await all({ stopTokens: [stop] });
    const at = greedy.indexOf(stop);
    expect(tokens.map(({ token }) => token)).toEqual(greedy.slice(0, at + 1));
    expect(tokens[at]).toMatchObject({ finish: 'stop-token', text: '' });
  });

  test.each([
    ['within a token', '-', '#    n = n '],
    ['across tokens', '= n - 1\n#', '#    n '],
    ['one of several', ['never', 'n += 1\n#    n += 1', ' - 1'], '#    n = n'],
    ['that does not come', 'zzz', greedyText],
  ])('a stop string ends it: %s', async (_name, stop, expected) => {
    const tokens = await all({ stop, maxTokens: greedy.length });
    expect(tokens.map(({ text }) => text).join('')).toBe(expected);
    expect(tokens.at(-1)?.finish).toBe(expected === greedyText ? 'max-tokens' : 'stop-string');
  });

  test('log-probabilities are those of a score', async () => {
    const tokens = await all({ maxTokens: 20, logprobs: true });
    const { logprobs } = await model.score([...ids, ...tokens.map(({ token }) => token)]);
    const scored = logprobs.subarray(-tokens.length);
    for (const [i, { logprob }] of tokens.entries()) expect(logprob).toBeCloseTo(scored[i], 3);
  });

  test('a seed repeats a draw, and another gives another', async () => {
    const draw = (seed: number) => textOf(model, prompt, { maxTokens: 40, temperature: 1, seed });
    const first = await draw(1);
    expect(await draw(1)).toBe(first);
    expect(await draw(2)).not.toBe(first);
    expect(await draw(2 ** 40 + 1)).not.toBe(first);
  });

  test('drawing from one token is greedy', async () => {
    const maxTokens = 20;
    for (const narrow of [{ topK: 1 }, { topP: 1e-9 }, { minP: 1 }, { temperature: 1e-6 }]) {
      expect(await tokensOf(model, prompt, { maxTokens, temperature: 1, seed: 5, ...narrow })).toEqual(
        greedy.slice(0, maxTokens),
      );
    }
  });

  test('tokens drawn are as likely as the model says', async () => {
    // The mean of -log p over draws from p is its entropy, so a wrong temperature would show.
    const tokens = await all({ maxTokens: 400, temperature: 1, seed: 3, logprobs: true, stopTokens: [] });
    const surprise = -tokens.reduce((sum, { logprob }) => sum + (logprob as number), 0) / tokens.length;
    const cold = await all({ maxTokens: 400, temperature: 0.3, seed: 3, logprobs: true, stopTokens: [] });
    const coldSurprise = -cold.reduce((sum, { logprob }) => sum + (logprob as number), 0) / cold.length;
    expect(surprise).toBeGreaterThan(1);
    expect(surprise).toBeLessThan(3.5);
    expect(coldSurprise).toBeLessThan(0.6 * surprise);
  });

  test('a repetition penalty counts the prompt and what came after', async () => {
    const tokens = await tokensOf(model, prompt, { maxTokens: 60, repetitionPenalty: 1e6 });
    expect(new Set([...tokens, ...ids]).size).toBe(new Set(ids).size + tokens.length);
  });

  test('prompts of a batch get what they get alone', async () => {
    const prompts = golden.map((one) => one.prompt);
    for (const options of [{}, { temperature: 0.9, topK: 50, seed: 40 }] as GenerateOptions[]) {
      const made: number[][] = prompts.map(() => []);
      for await (const { index, token } of model.generateBatch(prompts, { ...options, maxTokens: 40 })) {
        made[index].push(token);
      }
      for (const [b, one] of prompts.entries()) {
        const seed = options.seed === undefined ? undefined : options.seed + b;
        expect(made[b]).toEqual(await tokensOf(model, one, { ...options, seed, maxTokens: 40 }));
      }
    }
  });

  test('a sequence that ends leaves the others going', async () => {
    const stop = greedy[1];
    const made: Record<number, string[]> = { 0: [], 1: [] };
    const options = { maxTokens: 10, stopTokens: [stop] };
    for await (const { index, finish } of model.generateBatch([prompt, golden[1].prompt], options)) {
      made[index].push(String(finish));
    }
    expect(made[0]).toEqual(['undefined', 'stop-token']);
    expect(made[1].length).toBeGreaterThan(2);
  });

  test('an abort ends it, and leaves the model in order', async () => {
    const controller = new AbortController();
    const pieces: string[] = [];
    const run = async () => {
      for await (const piece of model.generate(prompt, {
        signal: controller.signal,
        maxTokens: 1000,
        stopTokens: [],
      })) {
        pieces.push(piece);
        if (pieces.length === 3) controller.abort();
      }
    };
    expectFailure(await rejectionOf(run()), { code: 'ERR_ABORTED', about: 'aborted' });
    expect(pieces).toHaveLength(3);
    expect(await tokensOf(model, prompt, { maxTokens: 20 })).toEqual(greedy.slice(0, 20));
  });

  test('the event loop turns meanwhile', async () => {
    const start = performance.now();
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    for await (const _ of model.generate(prompt, { maxTokens: 200, stopTokens: [] }));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0.05 * (performance.now() - start));
  });

  test('several generations at once are each as alone', async () => {
    const options = { maxTokens: 30 };
    const together = await Promise.all(golden.map((one) => tokensOf(model, one.prompt, options)));
    for (const [i, one] of golden.entries()) expect(together[i]).toEqual(one.greedy_ids.slice(0, 30));
  });

  test('a text is scored from the beginning of a document', async () => {
    const { tokens, logprobs } = await model.score(prompt);
    expect(Array.from(tokens)).toEqual(ids);
    expect(logprobs).toHaveLength(ids.length - 1);
    const mean = logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length;
    expect(await model.perplexity(prompt)).toBeCloseTo(Math.exp(-mean), 3);
  });

  describe('refusals', () => {
    const refusals: [string, GenerateOptions | object, string, string][] = [
      ['an unknown option', { temprature: 1 }, 'ERR_OPTION', "'temprature'"],
      ['a temperature below 0', { temperature: -1 }, 'ERR_OPTION', 'temperature'],
      ['a temperature that is NaN', { temperature: Number.NaN }, 'ERR_OPTION', 'temperature'],
      ['topK that is no whole number', { temperature: 1, topK: 1.5 }, 'ERR_OPTION', 'topK'],
      ['topP above 1', { temperature: 1, topP: 1.1 }, 'ERR_OPTION', 'topP'],
      ['topP of 0', { temperature: 1, topP: 0 }, 'ERR_OPTION', 'topP'],
      ['topP without temperature', { topP: 0.9 }, 'ERR_OPTION', 'temperature'],
      ['minP that is a string', { temperature: 1, minP: '0.1' }, 'ERR_OPTION', 'minP'],
      ['a repetition penalty of 0', { repetitionPenalty: 0 }, 'ERR_OPTION', 'repetitionPenalty'],
      ['a seed below 0', { seed: -1 }, 'ERR_OPTION', 'seed'],
      ['maxTokens below 0', { maxTokens: -1 }, 'ERR_OPTION', 'maxTokens'],
      ['an empty stop string', { stop: '' }, 'ERR_OPTION', 'stop'],
      ['a stop token that is text', { stopTokens: ['x'] }, 'ERR_OPTION', 'stopTokens'],
      ['a state that is none', { state: {} }, 'ERR_OPTION', 'state'],
      ['a signal that is none', { signal: {} }, 'ERR_OPTION', 'signal'],
    ];

    test.each(refusals)('%s', async (_name, options, code, about) => {
      expectFailure(await rejectionOf(all(options)), { code, about });
    });

    test.each([
      ['no tokens', [], 'ERR_SHAPE', 'prompt'],
      ['a token that is not of the vocabulary', [1, 2048], 'ERR_SHAPE', '2048'],
      ['half a token', [1.5], 'ERR_SHAPE', '1.5'],
      ['a number', 7, 'ERR_DTYPE', 'prompt'],
      ['a conversation without a template', [{ role: 'user', content: 'x' }], 'ERR_UNSUPPORTED', 'chat template'],
    ])('a prompt that is %s', async (_name, given, code, about) => {
      expectFailure(await rejectionOf(all({}, given as number[])), { code, about });
    });

    test('text without a tokenizer', async () => {
      using random = await loadRandomModel(device);
      const failure = { code: 'ERR_UNSUPPORTED', about: 'tokenizer' };
      expectFailure(await rejectionOf(textOf(random, 'x')), failure);
      expectFailure(await rejectionOf(textOf(random, [1])), failure);
      expectFailure(await rejectionOf(tokensOf(random, [1], { stop: 'x' })), failure);
      expectFailure(await rejectionOf(random.score('x')), failure);
      expect(await tokensOf(random, [1], { maxTokens: 3 })).toHaveLength(3);
    });

    test('a batch with a state, or of nothing', async () => {
      const batch = async (prompts: string[], options: object) => {
        for await (const _ of model.generateBatch(prompts, options));
      };
      const failure = { code: 'ERR_OPTION', about: 'state' };
      expectFailure(await rejectionOf(batch(['a'], { state: model.newState() })), failure);
      expectFailure(await rejectionOf(batch([], {})), { code: 'ERR_OPTION', about: 'prompts' });
    });

    test('a model that has been disposed', async () => {
      const gone = await loadRandomModel(device);
      gone.dispose();
      const failure = { code: 'ERR_DISPOSED', about: 'model' };
      expectFailure(await rejectionOf(tokensOf(gone, [1])), failure);
      expectFailure(await rejectionOf(gone.forward([1])), failure);
      expectFailure(await rejectionOf(gone.score([1])), failure);
    });
  });
});
