// Pinned arrays that JavaScript lets go while a call reads them: `node --expose-gc pinned.js <device>`.
import { allocPinned, selectiveScan } from 'selective-scan';
import { typedArrayOptions } from '../support/call';
import { randomCase } from '../support/random-case';

const device = process.argv[2] as string;
const options = typedArrayOptions(randomCase({ batch: 2, dim: 64, seqlen: 20_481, dstate: 2 }), device);
const gc = globalThis.gc as () => void;

function pinned(name: 'u' | 'z'): Float32Array {
  const values = options[name] as Float32Array;
  const copy = allocPinned(values.length);
  copy.set(values);
  return copy;
}

const ways: Record<string, () => Promise<{ out: unknown }>> = {
  collected: async () => {
    const promise = selectiveScan({ ...options, u: pinned('u'), z: pinned('z') });
    for (let i = 0; i < 5; i++) {
      gc();
      // Memory given back too early would be taken, and overwritten, by these.
      allocPinned((options.u as Float32Array).length).fill(Number.NaN);
      await new Promise(setImmediate);
    }
    return promise;
  },
  detached: async () => {
    const [u, z] = [pinned('u'), pinned('z')];
    const promise = selectiveScan({ ...options, u, z });
    if (device !== 'cpu')
      for (const { buffer } of [u, z]) structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    gc();
    return promise;
  },
};

async function main(): Promise<void> {
  const want = Buffer.from(((await selectiveScan(options)).out as Float32Array).buffer);
  for (const [name, way] of Object.entries(ways)) {
    const got = Buffer.from(((await way()).out as Float32Array).buffer);
    console.log(`${name}: ${got.equals(want) ? 'equal' : 'different'}`);
  }
}

main();
