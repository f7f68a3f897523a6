import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { MambaForCausalLM, MambaState } from 'selective-scan/mamba';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, rejectionOf, thrownBy } from './support/failures';
import { largestDifference } from './support/golden-model';
import { chunksOf } from './support/internals';
import { seeded } from './support/random';
import { loadRandomModel, tokensOf } from './support/text-model';
import './support/patience';

const bound = 1e-5;
const { integer } = seeded(11);
const someTokens = (count: number): number[] => Array.from({ length: count }, () => integer(0, 60));
const text = someTokens(90);

describeOnEachDevice((device) => {
  let model: MambaForCausalLM;
  beforeAll(async () => {
    model = await loadRandomModel(device);
  });
  afterAll(() => model.dispose());

  /** Logits after the last token, read on from a state. */
  async function read(tokens: number[], state?: MambaState): Promise<Float32Array> {
    const { logits } = await model.forward(tokens, { state });
    return (await logits.toArray()) as Float32Array;
  }

  test.each([
    ['in two parts', [40, 50]],
    ['in many', [1, 2, 3, 4, 30, 1, 49]],
    ['token by token', Array(90).fill(1)],
  ])('a prompt that is read %s', async (_name, lengths) => {
    const whole = await read(text);
    using state = model.newState();
    let at = 0;
    let last: Float32Array | undefined;
    for (const length of lengths) {
      last = await read(text.slice(at, at + length), state);
      at += length;
    }
    expect(largestDifference(last as Float32Array, whole)).toBeLessThan(bound);
  });

  test('a prompt, then steps', async () => {
    using state = model.newState();
    await read(text.slice(0, 60), state);
    let last = model.stepSync([text[60]], state);
    for (const id of text.slice(61)) last = await model.step([id], state);
    expect(largestDifference(await last.toArray(), await read(text))).toBeLessThan(bound);
  });

  test('a fork goes its own way', async () => {
    using state = model.newState();
    await read(text.slice(0, 50), state);
    using fork = state.clone();
    await read(someTokens(10), fork);
    expect(largestDifference(await read(text.slice(50), state), await read(text))).toBeLessThan(bound);
  });

  test('rewinding', async () => {
    using state = model.newState();
    await read(text.slice(0, 50), state);
    using earlier = state.clone();
    await read(someTokens(10), state);
    state.copyFrom(earlier);
    expect(largestDifference(await read(text.slice(50), state), await read(text))).toBeLessThan(bound);
  });

  test('what was saved is restored, and goes on with the same numbers', async () => {
    using state = model.newState();
    await read(text.slice(0, 50), state);
    const bytes = await state.save();
    using restored = await model.restoreState(bytes);
    expect(await read(text.slice(50), restored)).toEqual(await read(text.slice(50), state));
  });

  test('sequences of any lengths, packed, are read as each alone', async () => {
    const prompts = [1, 17, 3, 1200, 2].map(someTokens);
    const { logits, state } = await model.forward(prompts);
    const next = someTokens(prompts.length);
    const after = await model.step(next, state);
    const values = [await logits.toArray(), await after.toArray()];
    for (const [row, prompt] of prompts.entries()) {
      const rowOf = (all: ArrayLike<number>) => Array.from(all).slice(61 * row, 61 * (row + 1));
      expect(largestDifference(rowOf(values[0]), await read(prompt))).toBeLessThan(bound);
      expect(largestDifference(rowOf(values[1]), await read([...prompt, next[row]]))).toBeLessThan(bound);
    }
  });

  test('a long prompt takes the memory of a short one', async () => {
    const long = someTokens(5000);
    using state = model.newState();
    await read(long.slice(0, 4999), state);
    const last = model.stepSync([long[4999]], state);
    expect(largestDifference(await last.toArray(), await read(long))).toBeLessThan(bound);
  });

  test('calls made at the same time do not disturb each other', async () => {
    const prompts = [30, 700, 60].map(someTokens);
    const apart: Float32Array[] = [];
    for (const prompt of prompts) apart.push(await read(prompt));
    const together = await Promise.all(prompts.map((prompt) => read(prompt)));
    expect(together).toEqual(apart);
  });

  test('calls made at the same time leave the event loop to others', async () => {
    using large = await loadRandomModel(device, { hidden_size: 1024, intermediate_size: 2048 });
    const start = performance.now();
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await Promise.all([large.forward(someTokens(1500)), large.forward(someTokens(1500))]);
    clearInterval(timer);
    const enqueuing = 20; // ms of a GPU's host that make no turn, of which the work may be done by their end
    expect(turns).toBeGreaterThanOrEqual(0.1 * (performance.now() - start - enqueuing));
  });

  describe('generation', () => {
    test('leaves a state after what it made', async () => {
      using state = model.newState();
      const made = await tokensOf(model, text, { state, maxTokens: 12 });
      expect(made).toHaveLength(12);
      const more = await tokensOf(model, someTokens(1), { state: state.clone(), maxTokens: 1 });
      expect(more).toHaveLength(1);
      const next = someTokens(4);
      expect(largestDifference(await read(next, state), await read([...text, ...made, ...next]))).toBeLessThan(bound);
    });

    test('that is broken off leaves it after what was given', async () => {
      using state = model.newState();
      const made: number[] = [];
      for await (const { token } of model.generateTokens(text, { state, maxTokens: 12 })) {
        made.push(token);
        if (made.length === 5) break;
      }
      const next = someTokens(4);
      expect(largestDifference(await read(next, state), await read([...text, ...made, ...next]))).toBeLessThan(bound);
    });

    test('that a stop token ends leaves it before that', async () => {
      const free = await tokensOf(model, text, { maxTokens: 8 });
      const stop = free.findIndex((token, i) => i > 2 && !free.slice(0, i).includes(token));
      using state = model.newState();
      const made = await tokensOf(model, text, { state, maxTokens: 8, stopTokens: [free[stop]] });
      expect(made).toEqual(free.slice(0, stop + 1));
      const [before, next] = [made.slice(0, -1), someTokens(4)];
      expect(largestDifference(await read(next, state), await read([...text, ...before, ...next]))).toBeLessThan(bound);
    });
  });

  describe('refusals', () => {
    test('a state that another call uses', async () => {
      using state = model.newState();
      const reading = model.forward(someTokens(100), { state });
      const failure = { code: 'ERR_OPTION', about: 'one call at a time' };
      expectFailure(await rejectionOf(model.forward([1], { state })), failure);
      for (const act of [() => state.clone(), () => model.stepSync([1], state), () => state.copyFrom(state)]) {
        expectFailure(thrownBy(act), failure);
      }
      await reading;
      await model.forward([1], { state });
    });

    test('a state of another model, or of another batch, or none any more', async () => {
      using other = await loadRandomModel(device);
      const foreign = { code: 'ERR_OPTION', about: 'of this model' };
      expectFailure(await rejectionOf(model.forward([1], { state: other.newState() })), foreign);
      expectFailure(
        thrownBy(() => model.newState().copyFrom(other.newState())),
        { code: 'ERR_SHAPE', about: 'same model' },
      );
      const two = { code: 'ERR_SHAPE', about: 'batch of 1' };
      expectFailure(await rejectionOf(model.step([1], model.newState(2))), two);
      const state = model.newState();
      state.dispose();
      expectFailure(await rejectionOf(model.step([1], state)), { code: 'ERR_DISPOSED', about: 'state' });
      expectFailure(await rejectionOf(state.save()), { code: 'ERR_DISPOSED', about: 'state' });
    });

    describe('of saved bytes', () => {
      let bytes: Uint8Array;
      beforeAll(async () => {
        using state = model.newState(2);
        bytes = await state.save();
      });
      const altered = (at: number, value: number) => () => {
        const copy = bytes.slice();
        copy[at < 0 ? copy.length + at : at] = value;
        return copy;
      };
      /** Altered by somebody who also writes the checksum anew. */
      const forged = (from: string, to: string) => () => {
        const [before, after] = Buffer.from(bytes.subarray(0, -32)).toString('latin1').split(from) as [string, string];
        const copy = Buffer.from(before + to + after, 'latin1');
        return new Uint8Array(Buffer.concat([copy, createHash('sha256').update(copy).digest()]));
      };

      test.each([
        ['none', () => new Uint8Array(0), 'save()'],
        ['those of something else', () => new Uint8Array(1000).fill(7), 'save()'],
        ['a later version', altered(8, 9), 'version 9'],
        ['a header that is longer than the bytes', altered(15, 255), 'header'],
        ['a header that is no JSON', altered(16, 0), 'header'],
        ['the first half', () => bytes.subarray(0, bytes.length / 2), 'bytes'],
        ['one byte more', () => Uint8Array.of(...bytes, 0), 'bytes'],
        ['a value that was altered', altered(-100, 77), 'checksum'],
        ['a larger batch', forged('"batch":2', '"batch":3'), 'bytes'],
        ['a batch of none', forged('"batch":2', '"batch":0'), 'batch'],
        ['more layers', forged('"layers":3', '"layers":4'), 'layers'],
      ])('%s', async (_name, make, about) => {
        expectFailure(await rejectionOf(model.restoreState(make())), { code: 'ERR_CHECKPOINT', about });
      });

      test('those of a model of other weights', async () => {
        using other = await loadRandomModel(device, { hidden_size: 25 });
        expectFailure(await rejectionOf(other.restoreState(bytes)), { code: 'ERR_CHECKPOINT', about: 'model' });
        const kind = { code: 'ERR_OPTION', about: 'Uint8Array' };
        expectFailure(await rejectionOf(model.restoreState('bytes' as never)), kind);
      });
    });
  });
});

describe('prompts in chunks', () => {
  test.each([
    ['short ones together', [3, 1, 5], 100, 1],
    ['a long one', [1000], 100, 10],
    ['unequal ones', [1000, 1, 7, 333], 100, 14],
    ['many of one token', Array(300).fill(1), 100, 3],
  ])('%s', (_name, lengths, tokens, count) => {
    const prompts = lengths.map((length) => Int32Array.from({ length }, () => integer(0, 60)));
    const chunks = chunksOf(prompts, tokens);
    expect(chunks.map(({ isLast }) => isLast)).toEqual([...Array(count - 1).fill(false), true]);
    const parts = prompts.map((_, s) =>
      chunks.flatMap(({ ids, cuSeqlens }) => Array.from(ids.subarray(cuSeqlens[s], cuSeqlens[s + 1]))),
    );
    expect(parts).toEqual(prompts.map((ids) => Array.from(ids)));
    const { cuSeqlens } = chunks[count - 1];
    for (let s = 0; s < prompts.length; s++) expect(cuSeqlens[s + 1]).toBeGreaterThan(cuSeqlens[s]);
    for (const { ids } of chunks) expect(ids.length).toBeLessThanOrEqual(tokens + prompts.length);
  });
});
