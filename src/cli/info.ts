import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CpuDevice, devices } from '../index.js';
import { Arguments, UsageError } from './arguments.js';

/** The package's version. */
export function version(): string {
  const manifest = readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** Prints the devices that a model can run on, and versions. */
export async function info(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv, { json: { type: 'boolean' } });
  if (args.words.length > 0) throw new UsageError(`Expected no more words but received '${args.words[0]}'.`);
  const found = devices();
  if (args.flag('json')) {
    const versions = { version: version(), node: process.version, platform: process.platform, arch: process.arch };
    process.stdout.write(`${JSON.stringify({ ...versions, devices: found })}\n`);
    return;
  }
  const lines = [`selective-scan ${version()}, Node ${process.version}, ${process.platform}-${process.arch}`];
  for (const device of found) {
    if (device.device === 'cpu') {
      lines.push(`cpu      ${device.name}: ${device.vectorSet}, ${device.threads} threads`);
    } else {
      const { name, memory, computeCapability, driver } = device;
      const about = `${(memory / 2 ** 30).toFixed(0)} GiB, compute capability ${computeCapability}, CUDA ${driver}`;
      lines.push(`${device.device}   ${name}: ${about}`);
    }
  }
  const { noGpu } = found[0] as CpuDevice;
  if (noGpu) lines.push(`no GPU   ${noGpu}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}
