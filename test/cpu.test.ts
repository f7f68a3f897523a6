import { availableParallelism } from 'node:os';
import { describe, expect, test } from '@jest/globals';
import { type CpuDevice, devices } from 'selective-scan';
import { runChild } from './support/child';
import './support/patience';

const lesser = {
  avx512: ['avx512', 'avx2', 'portable'],
  avx2: ['avx2', 'portable'],
  neon: ['neon', 'portable'],
  portable: ['portable'],
};
const here = lesser[(devices()[0] as CpuDevice).vectorSet];

async function check(env: Record<string, string>): Promise<CpuDevice> {
  const child = await runChild('check-cases', [], { env });
  expect(child).toMatchObject({ code: 0, stderr: '' });
  const { cpu, problems, found } = JSON.parse(child.stdout);
  expect(found).toEqual([]);
  expect(problems).toBeGreaterThan(30);
  return cpu;
}

describe('vector sets', () => {
  for (const vectorSet of ['avx512', 'avx2', 'neon', 'portable']) {
    const [register, name] = here.includes(vectorSet)
      ? [test, vectorSet]
      : [test.skip, `${vectorSet} (skipped: this CPU lacks it)`];
    register(name, async () => {
      expect((await check({ SELECTIVE_SCAN_VECTOR_SET: vectorSet })).vectorSet).toBe(vectorSet);
    });
  }
});

describe('threads', () => {
  test.each([1, 2])('%i', async (threads) => {
    const used = Math.min(threads, availableParallelism());
    expect((await check({ SELECTIVE_SCAN_THREADS: String(threads) })).threads).toBe(used);
  });
});
