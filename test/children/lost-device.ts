// Prints the codes of calls before and after cuda:0 is lost to another part of the process (test/faults/lose-device.c,
// preloaded), and whether the CPU still works: `node lost-device.js`.
import { selectiveScan, selectiveScanSync, Tensor } from 'selective-scan';
import { tensorOptions, typedArrayOptions } from '../support/call';
import { complaintsAgainstReference } from '../support/closeness';
import { randomCase } from '../support/random-case';

const problem = randomCase();
const large = typedArrayOptions(randomCase({ batch: 2, dim: 64, seqlen: 20_481, dstate: 2 }), 'cuda');

async function outcome(call: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await call();
    return { code: 'well', message: '' };
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
}

async function main(): Promise<void> {
  const tensors = tensorOptions(problem, 'cuda').options;
  const before = await outcome(() => selectiveScan(typedArrayOptions(problem, 'cuda')));
  process.kill(process.pid, 'SIGUSR2');
  const calls = [
    () => selectiveScan(typedArrayOptions(problem, 'cuda')),
    () => selectiveScan(large),
    () => selectiveScanSync(large),
    async () => (selectiveScanSync(tensors).out as Tensor).toArray(),
    () => Tensor.from(Float32Array.of(1), [1]).toSync('cuda'),
    () => selectiveScanSync(typedArrayOptions(problem, 'cuda')),
  ];
  const after = [];
  for (const call of calls) after.push(await outcome(call));
  const { out, lastState } = selectiveScanSync(typedArrayOptions(problem, 'cpu'));
  const onCpu = complaintsAgainstReference(problem, { out: out as Float32Array, lastState: lastState as Float32Array });
  console.log(JSON.stringify({ before, after, onCpu }));
}

main();
