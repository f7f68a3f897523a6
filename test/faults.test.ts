import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { selectiveScan, selectiveScanSync, type Tensor } from 'selective-scan';
import { typedArrayOptions } from './support/call';
import { runChild } from './support/child';
import { describeOnGpus, gpus, hasCudaBackend } from './support/devices';
import { packageRoot } from './support/files';
import { fillMemory } from './support/full-memory';
import { randomCase } from './support/random-case';
import './support/patience';

const folder = mkdtempSync(join(tmpdir(), 'selective-scan-faults-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Compiles a file of test/faults to a library of that name; false where there is no C compiler. */
function compile(source: string, library: string, definitions: string[] = []): boolean {
  const arguments_ = ['-shared', '-fPIC', ...definitions, '-o', join(folder, library)];
  return spawnSync('cc', [...arguments_, join(packageRoot, 'test', 'faults', source), '-ldl']).status === 0;
}

const canCompile =
  process.platform === 'linux' && compile('driver.c', 'tried.so', ['-DINIT_RESULT=0', '-DDRIVER_VERSION=1']);

describe('why there is no GPU', () => {
  // A driver's answers to cuInit and cuDriverGetVersion; CUDA_ERROR_NO_DEVICE is 100.
  const drivers: [name: string, version: number, init: number, env: Record<string, string>, about: string][] = [
    ['a driver too old', 11_040, 0, {}, 'supports CUDA 11.4 but this build needs'],
    ['no GPU', 99_000, 100, {}, 'finds no GPU'],
    ['GPUs that are hidden', 99_000, 100, { CUDA_VISIBLE_DEVICES: '' }, "CUDA_VISIBLE_DEVICES is ''"],
  ];
  const [register, note] = canCompile && hasCudaBackend() ? [test, ''] : [test.skip, ' (skipped: needs cc and CUDA)'];

  register.each(drivers)(`%s${note}`, async (name, version, init, env, about) => {
    const path = join(folder, String(drivers.findIndex((each) => each[0] === name)));
    spawnSync('mkdir', ['-p', path]);
    const definitions = [`-DDRIVER_VERSION=${version}`, `-DINIT_RESULT=${init}`];
    expect(compile('driver.c', join(path.slice(folder.length + 1), 'libcuda.so.1'), definitions)).toBe(true);
    await expectReason({ LD_LIBRARY_PATH: path, ...env }, about);
  });

  const [registerHidden, hiddenNote] = gpus.length > 0 ? [test, ''] : [test.skip, ' (skipped: no GPU here)'];
  registerHidden(`the GPUs of this machine, hidden${hiddenNote}`, async () => {
    await expectReason({ CUDA_VISIBLE_DEVICES: '' }, "CUDA_VISIBLE_DEVICES is ''");
  });

  const isBare = gpus.length === 0 && hasCudaBackend();
  const [registerBare, bareNote] = isBare
    ? [test, '']
    : [test.skip, ' (skipped: there is one, or no CUDA in this build)'];
  registerBare(`no driver${bareNote}`, async () => {
    await expectReason({}, 'No NVIDIA driver');
  });

  async function expectReason(env: Record<string, string>, about: string): Promise<void> {
    const child = await runChild('no-gpu', [], { env });
    expect(child).toMatchObject({ code: 0, stderr: '' });
    const { noGpu, failure, ...rest } = JSON.parse(child.stdout);
    expect(rest).toEqual({ count: 1, device: 'cpu' });
    expect(noGpu).toContain(about);
    expect(failure).toEqual({ code: 'ERR_DEVICE', message: expect.stringContaining(noGpu) });
  }
});

describeOnGpus((device) => {
  const [register, note] = canCompile ? [test, ''] : [test.skip, ' (skipped: no C compiler here)'];

  register(`a device that is lost: every later call says so and why, and the CPU works${note}`, async () => {
    expect(compile('lose-device.c', 'lose-device.so')).toBe(true);
    const child = await runChild('lost-device', [], { env: { LD_PRELOAD: join(folder, 'lose-device.so') } });
    expect(child).toMatchObject({ code: 0, stderr: '' });
    const { before, after, onCpu } = JSON.parse(child.stdout);
    expect(before.code).toBe('well');
    expect(after.map(({ code }: { code: string }) => code)).toEqual(after.map(() => 'ERR_DEVICE_LOST'));
    expect(after[0].message).toContain('cuda:0 was lost');
    for (const { message } of after) expect(message).toBe(after[0].message);
    expect(onCpu).toEqual([]);
  });

  test('arrays of more than the memory that is left go through it in slices', async () => {
    // Of 600 MB in and out, each.
    const problems = (['bdl', 'bld'] as const).map((layout) =>
      enlarge(typedArrayOptions(randomCase({ batch: 2, dim: 64, seqlen: 300, dstate: 2, layout }), device), 1000),
    );
    const wanted = problems.map((options) => Buffer.from((selectiveScanSync(options).out as Float32Array).buffer));
    const held: Tensor[] = fillMemory(device, 300e6);
    try {
      for (const [i, options] of problems.entries()) {
        for (const { out } of [await selectiveScan(options), selectiveScanSync(options)]) {
          expect(Buffer.from((out as Float32Array).buffer).equals(wanted[i] as Buffer)).toBe(true);
        }
      }
    } finally {
      for (const tensor of held) tensor.dispose();
    }
  });
});

/** The same problem for so many times the batch. */
function enlarge(options: ReturnType<typeof typedArrayOptions>, times: number): ReturnType<typeof typedArrayOptions> {
  const repeat = (value: unknown): Float32Array => {
    const values = value as Float32Array;
    const all = new Float32Array(values.length * times);
    for (let i = 0; i < times; i++) all.set(values, i * values.length);
    return all;
  };
  const dims = options.dims as NonNullable<typeof options.dims>;
  const [u, delta, B, C, z] = [options.u, options.delta, options.B, options.C, options.z].map(repeat);
  return { ...options, u, delta, B, C, z, dims: { ...dims, batch: dims.batch * times } } as typeof options;
}
