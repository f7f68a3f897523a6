// Prints the device that a call without one ran on, or the code of the error.
import { selectiveScanSync } from 'selective-scan';
import { typedArrayOptions } from '../support/call';
import { randomCase } from '../support/random-case';

const { device: _, ...options } = typedArrayOptions(randomCase({ batch: 1, dim: 3, seqlen: 5, dstate: 2 }), 'auto');
try {
  console.log(selectiveScanSync(options).device);
} catch (error) {
  console.log((error as { code: string }).code);
}
