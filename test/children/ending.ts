// Ways for a process to end: `node ending.js <way> [device] [what it computes]`.
import { performance } from 'node:perf_hooks';
import {
  device as deviceOf,
  type SelectiveScanOptions,
  Stream,
  selectiveScan,
  selectiveScanSync,
  Tensor,
} from 'selective-scan';
import { busyWays } from '../support/busy';
import { tensorOptions } from '../support/call';
import { randomCase } from '../support/random-case';
import { slowProblem } from '../support/slow-problem';

const [way, device = 'cpu', busyWith = ''] = process.argv.slice(2);

function problem(): SelectiveScanOptions {
  return tensorOptions(randomCase(), device).options;
}

const ways: Record<string, () => unknown> = {
  sync: () => selectiveScanSync(problem()),
  awaited: () => selectiveScan(problem()),
  unawaited: () => {
    selectiveScan(problem()).then(() => console.log('settled'));
  },
  'many unawaited': () => {
    for (let i = 0; i < 50; i++) selectiveScan(problem());
  },
  'streams in flight': () => {
    const streams = [new Stream(device), new Stream(device), new Stream(device)];
    const options = problem();
    for (let i = 0; i < 20; i++) {
      for (const stream of streams) {
        selectiveScan({ ...options, stream });
        deviceOf(device).wait(stream.record());
      }
    }
    selectiveScan(options);
    for (const stream of streams.slice(1)) stream.dispose();
  },
  'graphs in flight': () => {
    const options = problem();
    const graphs = [1, 2, 3].map(() => deviceOf(device).capture(() => selectiveScanSync(options)));
    for (const graph of graphs) graph.replay();
    graphs[0]?.dispose();
  },
  'exit in a stream in flight': () => {
    const [first, second] = [new Stream('cpu'), new Stream('cpu')];
    selectiveScan({ ...slowProblem(2000), stream: first }).then(() => console.log('settled'));
    second.wait(first.record());
    selectiveScan({ ...problem(), stream: second }).then(() => console.log('settled'));
    setTimeout(() => process.exit(7), 20);
  },
  'exit while busy': () => busyWays[busyWith]?.(device, () => setTimeout(() => process.exit(7), 10)),
  'exit within a capture': () => {
    const options = problem();
    deviceOf(device).capture(() => {
      selectiveScanSync(options);
      process.exit(7);
    });
  },
  'exit in flight': () => {
    selectiveScan(slowProblem(2000)).then(() => console.log('settled'));
    setTimeout(() => process.exit(7), 20);
  },
  'exit at once': () => {
    selectiveScan(slowProblem(2000));
    process.exit(7);
  },
  'throw in flight': () => {
    selectiveScan(problem());
    throw new Error('thrown on purpose');
  },
  'reject unhandled': () => {
    selectiveScan({} as SelectiveScanOptions);
  },
  'dispose in flight': async () => {
    const options = slowProblem(300);
    const operands = Object.values(options).filter((value) => value instanceof Tensor);
    const undisturbed = await selectiveScan(options);
    const promise = selectiveScan(options);
    for (const operand of operands) operand.dispose();
    // Memory given back too early would be taken, and overwritten, by these.
    for (const { size } of operands) Tensor.from(new Float32Array(size).fill(Number.NaN), [size]);
    const { out } = await promise;
    const [want, got] = [undisturbed.out as Tensor, out as Tensor].map((tensor) => Buffer.from(tensor.data.buffer));
    console.log(want?.equals(got as Buffer) ? 'equal' : 'different');
  },
  'result disposed in another turn': async () => {
    const { out } = await selectiveScan(problem());
    setImmediate(() => (out as Tensor).dispose());
  },
  abort: async () => {
    const options = slowProblem(2000);
    const controller = new AbortController();
    const start = performance.now();
    const promise = selectiveScan({ ...options, signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    const code = await promise.then(
      () => 'settled',
      (error) => error.code,
    );
    const soon = performance.now() - start < 1000;
    const after = await selectiveScan(problem());
    console.log(code, soon ? 'soon' : 'late', after.device);
  },
};

ways[way as string]?.();
