// A pinned result that JavaScript lets go while a call writes it: `node --expose-gc detached-out.js <device>`. Not every
// runtime detaches such memory: where it stays, the call has to be as any other.
import { allocPinned, type SelectiveScanError, selectiveScan } from 'selective-scan';
import { typedArrayOptions } from '../support/call';
import { randomCase } from '../support/random-case';

const device = process.argv[2] as string;
const options = typedArrayOptions(randomCase({ batch: 2, dim: 64, seqlen: 20_481, dstate: 2 }), device);
const { length } = options.u as Float32Array;
const gc = globalThis.gc as () => void;

async function outcomeOf(detachAt: (detach: () => void) => object): Promise<string> {
  const out = allocPinned(length);
  const detach = (): void => {
    // Nobody takes the memory over, so that it would be given back at once. Nor is it read: a clone would race with the call.
    if (out.length > 0) structuredClone(null, { transfer: [out.buffer as ArrayBuffer] });
    gc();
  };
  const { now, ...more } = { now: () => {}, ...detachAt(detach) };
  const call = selectiveScan({ ...options, ...more, out });
  now();
  const code = await call.then(
    () => 'fulfilled',
    (error: SelectiveScanError) => error.code,
  );
  return code === (out.length > 0 ? 'fulfilled' : 'ERR_SHAPE') ? 'right' : `${code}, length ${out.length}`;
}

async function main(): Promise<void> {
  console.log(`at once: ${await outcomeOf((detach) => ({ now: detach }))}`);
  console.log(`while it is written: ${await outcomeOf((detach) => ({ onProgress: detach }))}`);
}

main();
