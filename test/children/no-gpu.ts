// Prints why there is no GPU, as devices() says it, and the error of a call that names one: `node no-gpu.js`.
import { type CpuDevice, devices, selectiveScanSync } from 'selective-scan';
import { typedArrayOptions } from '../support/call';
import { randomCase } from '../support/random-case';

const problem = randomCase();
let failure = {};
try {
  selectiveScanSync(typedArrayOptions(problem, 'cuda'));
} catch (error) {
  const { code, message } = error as { code: string; message: string };
  failure = { code, message };
}
const { device } = selectiveScanSync(typedArrayOptions(problem, 'cpu'));
console.log(JSON.stringify({ count: devices().length, noGpu: (devices()[0] as CpuDevice).noGpu, failure, device }));
