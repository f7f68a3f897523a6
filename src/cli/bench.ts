import type { MambaForCausalLM } from '../mamba/index.js';
import { Arguments, modelOptions } from './arguments.js';
import { loadModel } from './loading.js';

const options = {
  ...modelOptions,
  'prompt-tokens': { type: 'string' },
  tokens: { type: 'string' },
  batch: { type: 'string' },
} as const;

const runs = 3;

/** Measures how many tokens a second a model reads and writes: the best of a few runs. */
export async function bench(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const args = new Arguments(argv, options);
  const [promptTokens, tokens, batch] = [
    args.count('prompt-tokens', 512),
    args.count('tokens', 128),
    args.count('batch', 1),
  ];
  using model = await loadModel(args, signal);
  let [reading, writing] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let run = 0; run < runs; run++) {
    const times = await measure(model, promptTokens, tokens, batch, signal);
    reading = Math.min(reading, times.reading);
    writing = Math.min(writing, times.writing);
  }
  const result = {
    ...{ device: model.device, dtype: model.dtype, parameters: model.parameters, batch, promptTokens, tokens },
    prefillTokensPerSecond: (batch * promptTokens) / reading,
    decodeTokensPerSecond: (batch * tokens) / writing,
  };
  if (args.flag('json')) {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  const perSecond = (value: number) => `${value.toFixed(0)} tokens/s`;
  process.stdout.write(
    `model    ${(model.parameters / 1e6).toFixed(1)} million weights, ${model.dtype} on ${model.device}\n` +
      `prefill  ${perSecond(result.prefillTokensPerSecond)} (${batch} x ${promptTokens} tokens)\n` +
      `decode   ${perSecond(result.decodeTokensPerSecond)} (${batch} x ${tokens} tokens)\n`,
  );
}

/** Seconds to the first token, and for so many after it. */
async function measure(
  model: MambaForCausalLM,
  promptTokens: number,
  tokens: number,
  batch: number,
  signal: AbortSignal,
): Promise<{ reading: number; writing: number }> {
  const prompts = Array.from({ length: batch }, (_, row) =>
    Int32Array.from({ length: promptTokens }, (_, i) => (7919 * (i + 1) + row) % model.config.vocabSize),
  );
  const start = performance.now();
  let first: number | undefined;
  for await (const _ of model.generateBatch(prompts, { maxTokens: tokens + 1, stopTokens: [], signal })) {
    first ??= performance.now();
  }
  return { reading: ((first as number) - start) / 1e3, writing: (performance.now() - (first as number)) / 1e3 };
}
