import { SelectiveScanError } from '../index.js';
import { UsageError } from './arguments.js';
import { bench } from './bench.js';
import { generate } from './generate.js';
import { info, version } from './info.js';
import { score } from './score.js';

const usage = `selective-scan: Mamba language models

  selective-scan generate <folder> --prompt TEXT   continue a text ('-' reads it from standard input)
    --max-tokens N            tokens to make at most (256)
    --temperature T           0 takes the likeliest token (0)
    --top-k N  --top-p P  --min-p P  --repetition-penalty R  --seed N
    --stop TEXT               end before this text; may be given more than once
  selective-scan score <folder> --text TEXT        how likely a text is, token by token
    --file PATH               the text of a file instead
  selective-scan bench <folder>                    tokens a second
    --prompt-tokens N (512)  --tokens N (128)  --batch N (1)
  selective-scan info                              devices, build and versions
  selective-scan help | --version

  Of all but info, where and how the model runs:
    --device auto|cpu|cuda|cuda:N                  (auto)
    --dtype float32|float16|bfloat16               of the weights (as they are stored)
  Of all: --json prints one JSON object.
`;

type Command = (args: readonly string[], signal: AbortSignal) => Promise<void>;

const commands: Readonly<Record<string, Command>> = { generate, score, bench, info };

/** Runs a command line; resolves to the exit code: 0, 1 for what went wrong, 2 for a wrong command line, 130 for Ctrl-C. */
export async function main(args: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = args;
  // Whoever reads the output may stop reading, as `head` does; output that is lost otherwise is a failure.
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(0);
    process.stderr.write(`selective-scan: ${message}\n`);
    process.exit(1);
  });
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once('SIGINT', interrupt);
  try {
    if (['help', '--help', '-h'].includes(name)) process.stdout.write(usage);
    else if (['version', '--version'].includes(name)) process.stdout.write(`${version()}\n`);
    else if (!Object.hasOwn(commands, name)) throw new UsageError(`There is no command '${name}'.`);
    else await (commands[name] as Command)(rest, interruption.signal);
    return 0;
  } catch (error) {
    if (interruption.signal.aborted) return 130;
    if (!(error instanceof UsageError || error instanceof SelectiveScanError)) throw error;
    process.stderr.write(`selective-scan: ${error.message}\n`);
    if (!(error instanceof UsageError)) return 1;
    process.stderr.write('`selective-scan help` shows the commands and their options.\n');
    return 2;
  } finally {
    process.off('SIGINT', interrupt);
  }
}
