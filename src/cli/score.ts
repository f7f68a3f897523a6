import { readFile } from 'node:fs/promises';
import { Arguments, modelOptions, UsageError } from './arguments.js';
import { loadModel } from './loading.js';

const options = { ...modelOptions, text: { type: 'string' }, file: { type: 'string' } } as const;

/** Prints the log-likelihood of each token of a text, and its perplexity. */
export async function score(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const args = new Arguments(argv, options);
  const text = await readText(args);
  using model = await loadModel(args, signal);
  const { tokens, logprobs } = await model.score(text, { signal });
  const mean = logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length;
  const scored = Array.from(logprobs, (logprob, i) => {
    const token = tokens[i + 1] as number;
    return { token, text: model.tokenizer?.decode([token]), logprob };
  });
  const whole = { meanLogprob: mean, perplexity: Math.exp(-mean), device: model.device, dtype: model.dtype };
  if (args.flag('json')) {
    process.stdout.write(`${JSON.stringify({ tokens: scored, ...whole })}\n`);
    return;
  }
  for (const { text: piece, logprob } of scored) {
    process.stdout.write(`${logprob.toFixed(3).padStart(9)}  ${JSON.stringify(piece)}\n`);
  }
  process.stdout.write(`${mean.toFixed(4)} a token: perplexity ${whole.perplexity.toFixed(3)}\n`);
}

async function readText(args: Arguments): Promise<string> {
  const [text, file] = [args.text('text'), args.text('file')];
  if ((text === undefined) === (file === undefined))
    throw new UsageError('Expected either --text TEXT or --file PATH.');
  if (text !== undefined) return text;
  try {
    return await readFile(file as string, 'utf8');
  } catch (error) {
    throw new UsageError(`Expected --file to name a file that can be read (${(error as Error).message}).`);
  }
}
