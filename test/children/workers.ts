// Worker threads that compute, and are stopped: `node workers.js <way> [what they compute] [device]`.
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { devices, Stream, selectiveScan, selectiveScanSync } from 'selective-scan';
import { busyWays } from '../support/busy';
import { tensorOptions } from '../support/call';
import { complaintsAgainstReference } from '../support/closeness';
import { randomCase } from '../support/random-case';
import { slowProblem } from '../support/slow-problem';

const problem = randomCase();

const workers: Record<string, () => unknown> = {
  compute: async () => {
    const { options } = tensorOptions(problem, 'cpu');
    const { out, lastState } = await selectiveScan(options);
    const values = async (result: any): Promise<ArrayLike<number>> => result.toArray();
    parentPort?.postMessage(
      complaintsAgainstReference(problem, { out: await values(out), lastState: await values(lastState) }),
    );
  },
  'stay in flight': () => {
    selectiveScan(slowProblem(1500));
    parentPort?.postMessage('in flight');
  },
  'many in flight': () => {
    for (let i = 0; i < 100; i++) selectiveScan(tensorOptions(problem, 'cpu').options);
    parentPort?.postMessage('in flight');
  },
  'streams in flight': () => {
    const [first, second, third] = [new Stream('cpu'), new Stream('cpu'), new Stream('cpu')];
    selectiveScan({ ...slowProblem(1500), stream: first });
    second.wait(first.record());
    selectiveScan({ ...tensorOptions(problem, 'cpu').options, stream: second });
    third.wait(second.record());
    selectiveScan({ ...slowProblem(1500), stream: third });
    third.dispose();
    parentPort?.postMessage('in flight');
  },
  'exit in flight': () => {
    selectiveScan(slowProblem(1500));
    parentPort?.postMessage('in flight');
    process.exit(0);
  },
  unawaited: () => {
    selectiveScan(tensorOptions(problem, 'cpu').options);
    parentPort?.postMessage('in flight');
  },
};

function start(way: string, device = 'cpu'): { worker: Worker; message: Promise<unknown>; ended: Promise<unknown> } {
  const worker = new Worker(__filename, { workerData: [way, device] });
  const message = new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return { worker, message, ended: new Promise((resolve) => worker.once('exit', resolve)) };
}

const mains: Record<string, () => Promise<void>> = {
  'compute at once': async () => {
    const found = await Promise.all([1, 2, 3, 4].map(() => start('compute').message));
    console.log(JSON.stringify(found));
  },
  'without the main thread having loaded': async () => {
    console.log(JSON.stringify([await start('compute').message]));
  },
  terminate: async () => {
    devices();
    for (const way of [
      'stay in flight',
      'many in flight',
      'streams in flight',
      'many in flight',
      'streams in flight',
    ]) {
      const { worker, message } = start(way);
      await message;
      await worker.terminate();
    }
    selectiveScanSync(tensorOptions(problem, 'cpu').options);
    console.log('alive');
  },
  'terminate while starting': async () => {
    for (let i = 0; i < 10; i++) {
      const { worker } = start('compute');
      await new Promise((resolve) => setTimeout(resolve, 15 * i));
      await worker.terminate();
    }
    console.log('alive');
  },
  'terminate at any moment': async () => {
    const [way, device] = process.argv.slice(3) as [string, string];
    for (let i = 0; i < 8; i++) {
      const { worker, message } = start(way, device);
      await message;
      await new Promise((resolve) => setTimeout(resolve, 3 * i));
      await worker.terminate();
    }
    selectiveScanSync(tensorOptions(problem, device).options);
    console.log('alive');
  },
  'end by themselves': async () => {
    for (const way of ['unawaited', 'exit in flight', 'unawaited']) await start(way).ended;
    console.log('alive');
  },
  'exit while workers compute': async () => {
    await Promise.all([start('stay in flight').message, start('many in flight').message]);
    process.exit(7);
  },
};

if (workerData) {
  const [way, device] = workerData as [string, string];
  if (way in busyWays) busyWays[way]?.(device, () => parentPort?.postMessage('in flight'));
  else workers[way]?.();
} else {
  mains[process.argv[2] as string]?.();
}
