import fc from 'fast-check';
import { devices, scanKernel, synchronize, synchronizeSync } from 'selective-scan';
import { choose, fail, nonsense, onRead } from './fuzz-draft';
import { complaintsAboutError } from './fuzz-verdict';

/** Calls that compute nothing: which kernel a shape gets, which devices there are, and waiting for one. */
export interface KernelPlan {
  call: 'scanKernel' | 'synchronize' | 'synchronizeSync';
  sizes: number[];
  flags: boolean[];
  fault: string;
  n: number;
}

// A plan of the CPU takes time and memory in proportion to batch and dim, as the scan itself would.
const upTo = (most: number): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: most }));
const { MAX_SAFE_INTEGER: huge } = Number;

export const kernelPlans: fc.Arbitrary<KernelPlan> = fc.record({
  call: fc.constantFrom('scanKernel', 'scanKernel', 'synchronize', 'synchronizeSync'),
  sizes: fc.tuple(upTo(2 ** 12), upTo(2 ** 16), upTo(huge), upTo(huge), upTo(huge)),
  flags: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  fault: fc.constantFrom('none', 'none', 'size', 'flag', 'dtype', 'layout', 'device', 'throwing'),
  n: fc.nat(2 ** 12),
}) as fc.Arbitrary<KernelPlan>;

const notDevices: readonly unknown[] = ['tpu', 'cuda:99', '', ...nonsense];

export async function complaintsAboutKernel(plan: KernelPlan, device: string): Promise<string[]> {
  if (!devices().some((each) => each.device === device)) return [`devices() has no ${device}`];
  return plan.call === 'scanKernel' ? describing(plan, device) : waiting(plan, device);
}

function describing({ sizes, flags, fault, n }: KernelPlan, device: string): string[] {
  const [batch, dim, seqlen, dstate, groups] = sizes as [number, number, number, number, number];
  const [complexA, constantB, constantC, z, batchInvariant] = flags;
  const dims: Record<string, unknown> = { batch, dim, seqlen, dstate, groups: dim % groups === 0 ? groups : 1 };
  const options: Record<string, unknown> = { dims, complexA, constantB, constantC, z, batchInvariant, device };
  const codes = new Set<string>();
  const mustFail = fault !== 'none';
  const wrong = choose(nonsense, n);
  if (fault === 'size') dims[choose(Object.keys(dims), n)] = choose([-1, 0.5, 2 ** 53, ...nonsense], n >> 3);
  else if (fault === 'flag')
    options[choose(['complexA', 'constantB', 'constantC', 'z', 'batchInvariant'], n)] = choose(nonsense, n >> 2);
  else if (fault === 'throwing') onRead(n % 2 ? dims : options, n % 2 ? 'seqlen' : 'dims', fail);
  else if (fault === 'device')
    options.device = choose(
      notDevices.filter((name) => name !== 'cuda:99'),
      n,
    );
  else if (mustFail) options[fault] = wrong;
  const codesOf: Record<string, string> = { size: 'ERR_SHAPE', dtype: 'ERR_DTYPE', device: 'ERR_DEVICE' };
  if (mustFail) codes.add(codesOf[fault] ?? 'ERR_OPTION');
  try {
    const words = scanKernel(options as any);
    if (mustFail) return [`went well, but had to fail with ${[...codes].join(' or ')}`];
    return /\w/.test(words) ? [] : ['says nothing'];
  } catch (error) {
    return complaintsAboutError(error, codes);
  }
}

async function waiting({ call, fault, n }: KernelPlan, device: string): Promise<string[]> {
  const mustFail = fault === 'device';
  const name = (mustFail ? choose(notDevices, n) : device) as string;
  try {
    await (call === 'synchronize' ? synchronize(name) : synchronizeSync(name));
    return mustFail ? ['went well, but had to fail with ERR_DEVICE'] : [];
  } catch (error) {
    return complaintsAboutError(error, new Set(mustFail ? ['ERR_DEVICE'] : []));
  }
}
