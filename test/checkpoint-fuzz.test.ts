import { writeSync } from 'node:fs';
import { test } from '@jest/globals';
import fc from 'fast-check';
import { newFolder } from './support/folders';
import { complaintsAboutFiles, filesPlans } from './support/fuzz-files';

/**
 * Checkpoints that were cut, altered and taken apart: each has to be refused with a code, or to give the weights that
 * its files hold. A run says its seed, and is run again as one of fuzz.test.ts is.
 */
const {
  SELECTIVE_SCAN_FUZZ_SEED: givenSeed,
  SELECTIVE_SCAN_FUZZ_PATH: path,
  SELECTIVE_SCAN_FUZZ_FILES: givenRuns,
} = process.env;
const seed = givenSeed ? Number(givenSeed) : Math.floor(Math.random() * 2 ** 31);

test('altered files are refused or read right', async () => {
  writeSync(2, `fuzz of files: SELECTIVE_SCAN_FUZZ_SEED=${seed}\n`);
  const folder = newFolder();
  const property = fc.asyncProperty(filesPlans, async (plan) => {
    const found = await complaintsAboutFiles(plan, folder);
    if (found.length > 0) throw new Error(found.join('\n'));
  });
  await fc.assert(property, {
    seed,
    ...(path && { path }),
    numRuns: givenRuns ? Number(givenRuns) : 500,
    timeout: 5_000,
    interruptAfterTimeLimit: 100_000,
    markInterruptAsFailure: true,
  });
}, 120_000);
