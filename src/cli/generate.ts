import { text as readAll } from 'node:stream/consumers';
import type { GeneratedToken } from '../mamba/index.js';
import { Arguments, modelOptions, UsageError } from './arguments.js';
import { loadModel } from './loading.js';

const options = {
  ...modelOptions,
  prompt: { type: 'string' },
  'max-tokens': { type: 'string' },
  temperature: { type: 'string' },
  'top-k': { type: 'string' },
  'top-p': { type: 'string' },
  'min-p': { type: 'string' },
  'repetition-penalty': { type: 'string' },
  seed: { type: 'string' },
  stop: { type: 'string', multiple: true },
} as const;

/** Continues a prompt: as it comes, or with --json at the end. */
export async function generate(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const args = new Arguments(argv, options);
  const given = args.text('prompt');
  if (given === undefined) throw new UsageError('Expected a text to continue: --prompt TEXT.');
  const prompt = given === '-' ? await readAll(process.stdin) : given;
  const generation = {
    maxTokens: args.number('max-tokens'),
    temperature: args.number('temperature'),
    topK: args.number('top-k'),
    topP: args.number('top-p'),
    minP: args.number('min-p'),
    repetitionPenalty: args.number('repetition-penalty'),
    seed: args.number('seed'),
    stop: args.texts('stop'),
    signal,
  };
  using model = await loadModel(args, signal);
  if (!args.flag('json')) {
    for await (const piece of model.generate(prompt, generation)) process.stdout.write(piece);
    process.stdout.write('\n');
    return;
  }
  const start = performance.now();
  const tokens: GeneratedToken[] = [];
  let first = 0;
  for await (const token of model.generateTokens(prompt, { ...generation, logprobs: true })) {
    first ||= performance.now();
    tokens.push(token);
  }
  const result = {
    text: tokens.map(({ text }) => text).join(''),
    tokens: tokens.map(({ token }) => token),
    logprobs: tokens.map(({ logprob }) => logprob),
    finish: tokens.at(-1)?.finish,
    device: model.device,
    dtype: model.dtype,
    seconds: { firstToken: (first - start) / 1e3, otherTokens: (performance.now() - first) / 1e3 },
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
