import { writeSync } from 'node:fs';
import { test } from '@jest/globals';
import fc from 'fast-check';
import { describeOnEachDevice } from './support/devices';
import { type CallPlan, callPlans } from './support/fuzz-calls';
import { complaintsAboutKernel, type KernelPlan, kernelPlans } from './support/fuzz-kernel';
import { complaintsAboutOp, type OpPlan, opPlans } from './support/fuzz-ops';
import { complaintsAboutTensor, type TensorPlan, tensorPlans } from './support/fuzz-tensors';
import { complaintsAboutCall } from './support/fuzz-verdict';

/**
 * Calls with random arguments, right and wrong: each has to be right against the reference, or to fail with a code that
 * fits one of the faults that were put into it.
 *
 * A run says its seed. To run it again: SELECTIVE_SCAN_FUZZ_SEED=..., and with SELECTIVE_SCAN_FUZZ_PATH=... from the
 * report of a failure only the call that failed. With SELECTIVE_SCAN_FUZZ_TRACE=1 each call is written to stderr before
 * it is made, so that the last one is known where the process ends or hangs.
 */
const {
  SELECTIVE_SCAN_FUZZ_SEED: givenSeed,
  SELECTIVE_SCAN_FUZZ_PATH: path,
  SELECTIVE_SCAN_FUZZ_CALLS: givenCalls,
  SELECTIVE_SCAN_FUZZ_TRACE: trace,
} = process.env;
const seed = givenSeed ? Number(givenSeed) : Math.floor(Math.random() * 2 ** 31);
const calls = givenCalls ? Number(givenCalls) : 12_000;

// In milliseconds. A run takes some seconds; a call that never settles costs its limit each time it is made smaller.
const limits = { call: 5_000, run: 150_000, test: 180_000 };

type Plan = { call: CallPlan } | { tensor: TensorPlan } | { kernel: KernelPlan } | { op: OpPlan };

const plans: fc.Arbitrary<Plan> = fc.oneof(
  { weight: 14, arbitrary: fc.record({ call: callPlans }) },
  { weight: 6, arbitrary: fc.record({ op: opPlans }) },
  { weight: 4, arbitrary: fc.record({ tensor: tensorPlans }) },
  { weight: 1, arbitrary: fc.record({ kernel: kernelPlans }) },
);

function complaintsAbout(plan: Plan, device: string): Promise<string[]> {
  if ('call' in plan) return complaintsAboutCall(plan.call, device);
  if ('tensor' in plan) return complaintsAboutTensor(plan.tensor, device);
  if ('op' in plan) return complaintsAboutOp(plan.op, device);
  return complaintsAboutKernel(plan.kernel, device);
}

describeOnEachDevice((device) => {
  test(
    'calls with random arguments are right or fail with a code',
    async () => {
      writeSync(2, `fuzz on ${device}: SELECTIVE_SCAN_FUZZ_SEED=${seed}\n`);
      const property = fc.asyncProperty(plans, async (plan) => {
        if (trace) writeSync(2, `${fc.stringify(plan)}\n`);
        const found = await complaintsAbout(plan, device);
        if (found.length > 0) throw new Error(found.join('\n'));
      });
      await fc.assert(property, {
        seed,
        ...(path && { path }),
        numRuns: calls,
        timeout: limits.call,
        interruptAfterTimeLimit: limits.run,
        markInterruptAsFailure: true,
      });
    },
    limits.test,
  );
});
