import { describe } from '@jest/globals';
import { devices, synchronizeSync } from 'selective-scan';

export const gpus: string[] = devices()
  .map(({ device }) => device)
  .filter((device) => device !== 'cpu');

const gpuRequired = process.env.SELECTIVE_SCAN_REQUIRE_GPU === '1';

/**
 * Registers tests for every GPU. Without one they are registered for cuda:0 all the same, and count as skipped; with
 * SELECTIVE_SCAN_REQUIRE_GPU=1 they run there and fail.
 */
export function describeOnGpus(tests: (device: string) => void): void {
  for (const device of gpus) describe(`on ${device}`, () => tests(device));
  if (gpus.length > 0) return;
  if (gpuRequired) describe('on cuda:0 (a GPU is required, and there is none)', () => tests('cuda:0'));
  else describe.skip('on cuda:0 (skipped: no GPU here)', () => tests('cuda:0'));
}

export function describeOnEachDevice(tests: (device: string) => void): void {
  describe('on cpu', () => tests('cpu'));
  describeOnGpus(tests);
}

/** Whether the build serves GPUs, of which there may be none here. */
export function hasCudaBackend(): boolean {
  try {
    synchronizeSync('cuda');
    return true;
  } catch (error) {
    return !(error as Error).message.includes('no CUDA backend');
  }
}
