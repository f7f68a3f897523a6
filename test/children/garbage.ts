// Prints how much memory a process holds after making far more than it keeps: `node --expose-gc garbage.js <way>`.
import { selectiveScan, selectiveScanSync, Tensor } from 'selective-scan';
import { tensorOptions } from '../support/call';
import { randomCase } from '../support/random-case';

const megabyte = 2 ** 20;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const gc = globalThis.gc as () => void;
const source = new Float32Array(megabyte); // 4 MB

const ways: Record<string, () => Promise<void>> = {
  'collected on request': async () => {
    for (let i = 0; i < 250; i++) {
      Tensor.from(source, [megabyte]);
      gc();
      await turn();
    }
  },
  // Without being asked the engine collects only if it knows how much memory hangs on a small object.
  'collected unasked': async () => {
    for (let i = 0; i < 500; i++) {
      Tensor.from(source, [megabyte]);
      await turn();
    }
  },
  disposed: async () => {
    for (let i = 0; i < 250; i++) {
      const tensor = Tensor.from(source, [megabyte]);
      tensor.dispose();
      if (i % 10 === 0) await turn();
    }
    gc();
  },
  'results collected': async () => {
    const { options } = tensorOptions(randomCase({ batch: 1, dim: 64, seqlen: 8192, dstate: 1 }), 'cpu'); // 2 MB
    for (let i = 0; i < 200; i++) {
      if (i % 2 === 0) selectiveScanSync(options);
      else await selectiveScan(options);
      gc();
      await turn();
    }
  },
  'a view outlives its tensor': async () => {
    const views = Array.from({ length: 20 }, () => Tensor.from(new Float32Array(1000).fill(3), [1000]).data);
    gc();
    await turn();
    for (let i = 0; i < 100; i++) Tensor.from(new Float32Array(1000).fill(5), [1000]);
    if (views.some((view) => view.some((value) => value !== 3))) throw new Error('A view shows the memory of another.');
  },
  'a view of a disposed tensor': async () => {
    const tensor = Tensor.from(new Float32Array(1000).fill(3), [1000]);
    const view = tensor.data;
    tensor.dispose();
    for (let i = 0; i < 100; i++) Tensor.from(new Float32Array(1000).fill(5), [1000]);
    if (view.some((value) => value !== 3)) throw new Error('A view shows the memory of another.');
  },
};

async function main(): Promise<void> {
  const before = process.memoryUsage().rss;
  await ways[process.argv[2] as string]?.();
  console.log(Math.round((process.memoryUsage().rss - before) / megabyte));
}

main();
