import { type FloatDType, MambaForCausalLM, type Progress } from '../mamba/index.js';
import type { Arguments } from './arguments.js';

const width = 30;

/** Loads the model of a command, with a progress bar where a person is looking. */
export async function loadModel(args: Arguments, signal: AbortSignal): Promise<MambaForCausalLM> {
  const folder = args.word('folder of a model');
  const bar = process.stderr.isTTY && !args.flag('json');
  try {
    return await MambaForCausalLM.load(folder, {
      device: args.text('device'),
      dtype: args.text('dtype') as FloatDType | undefined, // which load() checks
      signal,
      onProgress: bar ? draw : undefined,
    });
  } finally {
    if (bar) process.stderr.write('\r\x1b[K');
  }
}

function draw({ done, total }: Progress): void {
  const filled = Math.round((width * done) / total);
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
  const line = `${'#'.repeat(filled)}${'.'.repeat(width - filled)}  ${megabytes(done)} of ${megabytes(total)} MB`;
  process.stderr.write(`\rloading  ${line}`);
}
