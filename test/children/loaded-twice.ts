// The package loaded twice, from a cache that was emptied between: `node loaded-twice.js <device>` computes in both at the
// same time, and gives one the other's tensors.
import type * as Package from 'selective-scan';
import { typedArrayOptions } from '../support/call';
import { randomCase } from '../support/random-case';

const device = process.argv[2] as string;
const options = typedArrayOptions(randomCase(), device);

function load(): typeof Package {
  for (const file of Object.keys(require.cache)) delete require.cache[file];
  return require('selective-scan');
}

async function compute(loaded: typeof Package): Promise<Float32Array> {
  const stream = new loaded.Stream(device);
  const results = await Promise.all([1, 2, 3].map(() => loaded.selectiveScan({ ...options, stream })));
  return results[0]?.out as Float32Array;
}

async function main(): Promise<void> {
  const imported = (await import('selective-scan')) as typeof Package;
  const packages = [imported, load(), load()];
  if (new Set(packages.map(({ Tensor }) => Tensor)).size !== packages.length)
    throw new Error('One was not loaded anew.');
  const [want, ...others] = (await Promise.all(packages.map(compute))).map((out) => Buffer.from(out.buffer));
  console.log(others.every((got) => got.equals(want as Buffer)) ? 'equal' : 'different');

  const [first, second] = packages as [typeof Package, typeof Package];
  const tensor = first.Tensor.from(options.u as Float32Array, [(options.u as Float32Array).length]);
  try {
    second.selectiveScanSync({ ...options, u: tensor });
  } catch (error) {
    console.log((error as Package.SelectiveScanError).code);
  }
}

main();
