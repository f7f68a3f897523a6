import { device as deviceOf, Stream, selectiveScan, selectiveScanSync } from 'selective-scan';
import { tensorOptions, typedArrayOptions } from './call';
import { randomCase } from './random-case';
import { callInSlices } from './sliced-call';

/** Computing that never ends by itself. `begun` is called when the first calls have been made. */
type Busy = (device: string, begun: () => void) => Promise<void>;

const problem = randomCase({ batch: 2, dim: 33, seqlen: 500 });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Ways to be busy, to be ended from outside at any moment. */
export const busyWays: Record<string, Busy> = {
  'host arrays': async (device, begun) => {
    const options = typedArrayOptions(problem, device);
    for (;;) {
      const calls = [1, 2, 3].map(() => selectiveScan(options));
      begun();
      await Promise.all(calls);
    }
  },
  'slices of host arrays': async (device, begun) => {
    for (;;) {
      const calls = [1, 2, 3].map(() => callInSlices(problem, device, 'promise', { sliceBytes: 5000, inStream: true }));
      begun();
      await Promise.all(calls);
    }
  },
  streams: async (device, begun) => {
    const { options } = tensorOptions(problem, device);
    const streams = [new Stream(device), new Stream(device), new Stream(device)];
    for (;;) {
      const calls = [];
      for (const stream of streams) {
        calls.push(selectiveScan({ ...options, stream }));
        deviceOf(device).wait(stream.record());
      }
      calls.push(selectiveScan(options));
      begun();
      await Promise.all(calls);
    }
  },
  graphs: async (device, begun) => {
    const { options } = tensorOptions(problem, device);
    for (;;) {
      const graph = deviceOf(device).capture(() => selectiveScanSync(options));
      for (let i = 0; i < 3; i++) graph.replay();
      begun();
      const call = selectiveScan(options);
      graph.dispose();
      await Promise.all([call, turn()]);
    }
  },
};
