import { expect, test } from '@jest/globals';
import { device as deviceOf, sample, sampleSync } from 'selective-scan';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { placed, taken } from './support/rows';
import { callSample, rowOf, type SampleSpec, sampleCase, sampleOptions } from './support/sample-case';
import { drawable, logProbability, philox, uniformOf } from './support/sample-reference';
import './support/patience';

type Row = [name: string, reason: string, spec: SampleSpec];

const many = { batch: 300, sameLogits: true };
const ties = { ...many, vocab: 1000, dtype: 'bfloat16', scale: 1 } as const;
const everyFilter = { topK: 40, topP: 0.8, minP: 0.05, temperature: 0.7, repetitionPenalty: 1.3 };

const rules: Row[] = [
  ['no filter', 'the whole distribution', { ...many }],
  ['temperature 0.3', 'a sharper one', { ...many, temperature: 0.3 }],
  ['temperature 50', 'a flatter one', { ...many, temperature: 50 }],
  ['temperature 1e-30', 'differences that overflow', { ...many, temperature: 1e-30 }],
  ['temperature 1e300', 'all tokens alike', { ...many, temperature: 1e300 }],
  ['top-k 1', 'the most probable one', { ...many, topK: 1 }],
  ['top-k 5', 'a few', { ...many, topK: 5 }],
  ['top-k 100', 'as many as there are', { ...many, topK: 100 }],
  ['top-k 2^40', 'more than there are', { ...many, topK: 2 ** 40 }],
  ['top-k among ties', 'equal logits at the end, of which the first stay', { ...ties, topK: 37 }],
  ['top-k among equals', 'equal logits only', { ...ties, scale: 0, topK: 37 }],
  ['top-p 0', 'one token stays', { ...many, topP: 0 }],
  ['top-p 0.5', 'a few', { ...many, topP: 0.5 }],
  ['top-p 0.999', 'nearly all', { ...many, topP: 0.999 }],
  ['top-p among ties', 'equal logits at the end, of which the first stay', { ...ties, topP: 0.5 }],
  ['top-p among equals', 'equal logits only', { ...ties, scale: 0, topP: 0.3331 }],
  ['min-p 0.1', 'a share of the greatest', { ...many, minP: 0.1 }],
  ['min-p 1', 'only those as probable as the greatest', { ...ties, minP: 1 }],
  ['top-k and top-p', 'the share is that of what top-k left', { ...many, topK: 10, topP: 0.5 }],
  ['top-p beyond the bin of top-k', 'two cuts far from each other', { ...many, vocab: 5000, topK: 3000, topP: 0.3 }],
  ['penalty 1.5', 'seen tokens less', { batch: 100, repetitionPenalty: 1.5 }],
  ['penalty 0.5', 'seen tokens more', { batch: 100, repetitionPenalty: 0.5 }],
  ['every filter', 'in their order', { batch: 100, ...everyFilter }],
  ['every filter, ties', 'in their order', { ...ties, ...everyFilter, batch: 50 }],
  ['wide logits', 'most weights vanish', { ...many, scale: 100, topP: 0.9, topK: 50 }],
  ['logits about 1e30', 'differences beyond any exponent', { ...many, scale: 1e30, topP: 0.9, topK: 50 }],
  [
    'two tokens far above',
    'all others in the last bin',
    { ...many, logits: [60, ...Array(999).fill(30), 61], topP: 0.99 },
  ],
];

const sizes: Row[] = [1, 2, 31, 1023, 1025, 4097, 50_280, 300_000].flatMap((vocab) =>
  (['float32', 'float16', 'bfloat16'] as const).map((dtype): Row => {
    return [`vocab ${vocab}, ${dtype}`, 'several ways to share out a row', { vocab, dtype, batch: 2, ...everyFilter }];
  }),
);

test('the reference has the published numbers of Philox4x32-10', () => {
  const ones = 0xffffffff;
  expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  expect(philox([ones, ones, ones, ones], [ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
});

describeOnEachDevice((device) => {
  test.each([...rules, ...sizes])('%s: %s', async (_name, _reason, spec) => {
    const problem = sampleCase(spec);
    const got = await callSample(problem, device);
    let draw: ReturnType<typeof drawable> | undefined;
    for (let b = 0; b < problem.batch; b++) {
      const { logits, seen, random } = rowOf(problem, b);
      if (!spec.sameLogits || seen || !draw) draw = drawable(logits, problem.rule, seen);
      expect(draw(uniformOf(random))).toContain(got.tokens[b]);
      if (problem.vocab > 10_000 || b > 9) continue;
      expect(got.logprobs?.[b]).toBeCloseTo(logProbability(logits, got.tokens[b] as number), 4);
    }
    expect(await callSample(problem, device, 'promise')).toEqual(got);
  });

  test('tokens come as often as they are probable', async () => {
    const logits = [0, 1, 2, Number.NEGATIVE_INFINITY, -1, 0.5, 0.25, -2];
    const batch = 40_000;
    const random = Int32Array.from({ length: 3 * batch }, (_, i) => [12345, -678, Math.floor(i / 3)][i % 3] as number);
    const { tokens } = await callSample({ ...sampleCase({ batch, logits }), random }, device);
    const total = logits.reduce((sum, l) => sum + Math.exp(l), 0);
    let square = 0;
    for (const [token, l] of logits.entries()) {
      const expected = (batch * Math.exp(l)) / total;
      const count = tokens.filter((drawn) => drawn === token).length;
      if (expected === 0) expect(count).toBe(0);
      else square += (count - expected) ** 2 / expected;
    }
    expect(square).toBeLessThan(18.5); // of six degrees of freedom: one in 200 is beyond
  });

  test.each(['float32', 'float16', 'bfloat16'] as const)('the greatest logit at temperature 0, %s', async (dtype) => {
    const cases = [
      [3, 1, 3, 2],
      [-1, -0, 0, -2],
      [Number.NEGATIVE_INFINITY, -60000, Number.NEGATIVE_INFINITY, -60000],
      [1, Number.POSITIVE_INFINITY, 2, Number.POSITIVE_INFINITY],
    ];
    const { logits, random } = sampleOptions(
      { ...sampleCase({ batch: 4, vocab: 4, dtype }), logits: Float64Array.from(cases.flat()) },
      device,
    );
    const { tokens, logprobs } = sampleSync({ logits, temperature: 0 });
    expect([[...(await taken(tokens))], logprobs]).toEqual([[0, 1, 1, 1], undefined]);
    const before = [...random.toArraySync()];
    expect([...(await taken(sampleSync({ logits, random, temperature: 0 }).tokens))]).toEqual([0, 1, 1, 1]);
    expect([...random.toArraySync()]).toEqual(before);
  });

  test('at temperature 0 of a large vocabulary, with a penalty', async () => {
    const problem = sampleCase({ batch: 3, vocab: 70_001, temperature: 0, repetitionPenalty: 2, dtype: 'bfloat16' });
    const { tokens } = await callSample(problem, device);
    for (let b = 0; b < 3; b++) {
      const { logits, seen } = rowOf(problem, b);
      const penalised = logits.map((l, i) => ((seen?.[i] as number) > 0 ? (l > 0 ? l / 2 : l * 2) : l));
      expect(tokens[b]).toBe(penalised.indexOf(penalised.reduce((most, l) => Math.max(most, l))));
    }
  });

  const [nan, infinity] = [Number.NaN, Number.POSITIVE_INFINITY];
  const odd: [what: string, logits: number[], tokens: number[]][] = [
    ['NaN', [5, nan, 3], [-1]],
    ['NaN of the other sign, last', [...Array(2000).fill(0), -nan], [-1]],
    ['nothing above minus infinity', [-infinity, -infinity, -infinity], [-1]],
    ['minus infinities but one', [-infinity, -7, -infinity], [1]],
    ['infinities', [1, infinity, 2, infinity], [1, 3]],
    ['infinity and NaN', [1, infinity, nan], [-1]],
  ];

  test.each(odd)('%s', async (_what, logits, want) => {
    for (const rule of [{}, { temperature: 0 }, { temperature: 1e300 }, everyFilter]) {
      const problem = sampleCase({ batch: 50, logits, ...rule });
      const { tokens, logprobs, random } = await callSample(problem, device);
      expect(tokens.filter((token) => !want.includes(token))).toEqual([]);
      expect(logprobs?.every((p) => Number.isNaN(p) === (want[0] === -1))).toBe(true);
      const raised = problem.rule.temperature === 0 ? 0 : 1;
      expect([...random]).toEqual([...problem.random].map((word, i) => word + (i % 3 === 2 ? raised : 0)));
    }
  });

  test('counters and the counts of chosen tokens are raised, and nothing else', async () => {
    const problem = sampleCase({ batch: 5, vocab: 3000, withSeen: true });
    problem.random[2] = 2 ** 31 - 1;
    problem.random[5] = -1;
    const { tokens, seen, random } = await callSample(problem, device);
    const want = Float64Array.from(problem.seen as Int32Array);
    for (const [b, token] of tokens.entries()) want[b * 3000 + token] = (want[b * 3000 + token] as number) + 1;
    expect(seen).toEqual(want);
    const counters = [-(2 ** 31), 0, 3, 4, 5];
    expect([...random]).toEqual([...problem.random].map((word, i) => (i % 3 === 2 ? counters[(i - 2) / 3] : word)));
  });

  const companies: Row[] = [
    ['every filter', 'a share of a row for each warp', { batch: 20, vocab: 7001, dtype: 'bfloat16', ...everyFilter }],
    ['temperature 0', 'blocks that share a row only where rows are few', { batch: 70, vocab: 40_001, temperature: 0 }],
  ];

  test.each(companies)('a row gives the same alone and among others, %s: %s', async (_name, _reason, spec) => {
    const problem = sampleCase(spec);
    const all = await callSample(problem, device);
    for (const b of [0, 7, problem.batch - 1]) {
      const { logits, seen, random } = rowOf(problem, b);
      const alone = await callSample({ ...problem, batch: 1, logits, seen, random: Int32Array.from(random) }, device);
      expect([alone.tokens[0], alone.logprobs?.[0]]).toEqual([all.tokens[b], all.logprobs?.[b]]);
    }
  });

  test('calls draw one after the other, whichever their form, and a captured one at each replay', async () => {
    const problem = sampleCase({ batch: 8, vocab: 500 });
    const plain = sampleOptions(problem, device);
    const promise = sample(plain);
    const calls = [sampleSync(plain), sampleSync(plain), await promise, sampleSync(plain)];
    const [second, third, first, fourth] = await Promise.all(
      calls.map(async ({ tokens }) => [...(await taken(tokens))]),
    );
    const captured = sampleOptions(problem, device);
    using graph = deviceOf(device).capture(() => sampleSync(captured));
    for (const want of [first, second, third, fourth]) {
      graph.replay();
      expect([...(await graph.outputs.tokens.toArray())]).toEqual(want);
    }
    expect(first).not.toEqual(second);
  });

  test('a captured call counts what it has chosen', async () => {
    const options = sampleOptions(
      sampleCase({ batch: 1, logits: [3, 2.5, 2], temperature: 0, withSeen: true }),
      device,
    );
    options.seen?.copyFromSync(Int32Array.of(0, 0, 0));
    using graph = deviceOf(device).capture(() => sampleSync({ ...options, repetitionPenalty: 2 }));
    const tokens: number[] = [];
    for (let i = 0; i < 4; i++) {
      graph.replay();
      tokens.push(graph.outputs.tokens.toArraySync()[0] as number);
    }
    expect(tokens).toEqual([0, 1, 2, 0]);
    expect([...(options.seen?.toArraySync() ?? [])]).toEqual([2, 1, 1]);
  });

  test('no rows give an empty result', async () => {
    const problem = { ...sampleCase({}), batch: 0, logits: new Float64Array(0), random: new Int32Array(0) };
    expect((await callSample(problem, device, 'promise')).tokens).toEqual([]);
  });

  test('tensors of a float type that is not the default, and results where they are', () => {
    const {
      tokens,
      logprobs,
      device: where,
    } = sampleSync({
      logits: placed([1, 2], [1, 2], 'float16', device),
      temperature: 0,
      returnLogprobs: true,
    });
    expect([tokens.dtype, tokens.device, tokens.dims, logprobs?.dtype, where]).toEqual([
      'int32',
      device,
      [1],
      'float32',
      device,
    ]);
  });
});

describeOnGpus((device) => {
  test.each([...rules, ...sizes])('CPU and GPU choose the same, %s: %s', async (_name, _reason, spec) => {
    const problem = sampleCase({ ...spec, withSeen: true });
    const [onCpu, onGpu] = [await callSample(problem, 'cpu'), await callSample(problem, device)];
    expect({ ...onGpu, logprobs: undefined }).toEqual({ ...onCpu, logprobs: undefined });
  });

  test('60000 draws are the same on CPU and GPU', async () => {
    for (const rule of [{}, { topP: 0.9 }, { topK: 20, minP: 0.02 }]) {
      const problem = sampleCase({ batch: 20_000, vocab: 50, dtype: 'float16', ...rule });
      expect((await callSample(problem, device)).tokens).toEqual((await callSample(problem, 'cpu')).tokens);
    }
  });
});
