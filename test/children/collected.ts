// Objects that JavaScript forgets while a call still uses them: `node --expose-gc collected.js <device>` says of each way
// whether the results were those of an undisturbed call.
import {
  allocPinned,
  device as deviceOf,
  type SelectiveScanOptions,
  Stream,
  selectiveScan,
  selectiveScanSync,
  Tensor,
} from 'selective-scan';
import { tensorOptions, typedArrayOptions } from '../support/call';
import { relativeError } from '../support/closeness';
import { randomCase } from '../support/random-case';
import { callInSlices } from '../support/sliced-call';

const device = process.argv[2] as string;
const problem = randomCase({ batch: 2, dim: 64, seqlen: 3000 });
const gc = globalThis.gc as () => void;

const operands = (): SelectiveScanOptions<Tensor> =>
  tensorOptions(problem, device).options as SelectiveScanOptions<Tensor>;

/** Collects again and again, and takes what is given back too early. */
async function collectFor(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) {
    gc();
    await new Promise(setImmediate);
    const taken = Tensor.from(new Float32Array(problem.u.length).fill(Number.NaN), [problem.u.length]);
    if (device !== 'cpu') taken.toSync(device);
    allocPinned(1000).fill(Number.NaN);
  }
}

async function valuesOf(result: Promise<{ out: Tensor }>): Promise<Float64Array> {
  return Float64Array.from(await (await result).out.toArray());
}

const ways: Record<string, () => Promise<Float64Array>> = {
  operands: async () => {
    const result = selectiveScan(operands());
    await collectFor(5);
    return valuesOf(result);
  },
  'a stream and its events': async () => {
    const inStreams = async (): Promise<{ out: Tensor }> => {
      const [first, second] = [new Stream(device), new Stream(device)];
      const { out } = selectiveScanSync({ ...operands(), stream: first });
      second.wait(first.record());
      return selectiveScan({ ...operands(), u: out, stream: second }).then(() => ({ out }));
    };
    const result = inStreams();
    await collectFor(5);
    return valuesOf(result);
  },
  'a graph and its operands': async () => {
    const captured = () => {
      const options = operands(); // copies to a GPU, which are no part of a capture
      return deviceOf(device).capture(() => selectiveScanSync(options).out);
    };
    const replayed = async (): Promise<Tensor> => {
      const graph = captured();
      await collectFor(5);
      for (let i = 0; i < 3; i++) graph.replay();
      return graph.outputs;
    };
    const out = await replayed();
    await collectFor(5);
    return valuesOf(Promise.resolve({ out }));
  },
  'host arrays': async () => {
    const result = selectiveScan(typedArrayOptions(problem, device));
    await collectFor(5);
    return Float64Array.from((await result).out as Float32Array);
  },
  'host arrays in slices': async () => {
    const { out } = await callInSlices(problem, device, 'promise', { sliceBytes: 100_000, beforeTurn: () => gc() });
    return out;
  },
};

async function main(): Promise<void> {
  const want = selectiveScanSync(operands()).out.toArraySync();
  for (const [name, way] of Object.entries(ways)) {
    const got = await way();
    const error = relativeError(got, want);
    console.log(`${name}: ${error < 1e-6 ? 'right' : `off by ${error}`}`);
  }
}

main();
