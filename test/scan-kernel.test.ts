import { describe, expect, test } from '@jest/globals';
import { type CpuDevice, devices, type ScanKernelOptions, scanKernel } from 'selective-scan';
import { hasCudaBackend } from './support/devices';
import { expectFailure, thrownBy } from './support/failures';
import './support/patience';

const dims = { batch: 2, dim: 64, seqlen: 128, dstate: 16 };

describe('on cpu', () => {
  const kernel = (options: Partial<ScanKernelOptions>) => scanKernel({ dims, device: 'cpu', ...options });

  test('says the vector set and the run of channels, which is of one group', () => {
    const { vectorSet } = devices()[0] as CpuDevice;
    expect(kernel({ dims: { ...dims, groups: 32 } })).toBe(`${vectorSet}, runs of 2 channels`);
  });

  test('says where time is cut', () => {
    const { threads } = devices()[0] as CpuDevice;
    const long = { batch: 1, dim: 4, seqlen: 65_536, dstate: 16 };
    const chunks = threads > 1 ? `, up to ${Math.min(threads, 41) + 1} chunks of time` : '';
    expect(kernel({ dims: long })).toMatch(new RegExp(`, runs of 4 channels${chunks}$`));
    const cuSeqlens = Int32Array.from({ length: 129 }, (_, i) => 512 * i);
    expect(kernel({ dims: long, cuSeqlens })).toMatch(/, runs of 4 channels$/);
    expect(kernel({ dims: long, batchInvariant: true })).toMatch(/, runs of 4 channels$/);
  });

  test.each([
    [{ dims: { ...dims, seqlen: 0 } }, 'ERR_SHAPE', 'dims.seqlen'],
    [{ dims: undefined }, 'ERR_OPTION', 'dims'],
    [{ dtype: 'int32' }, 'ERR_DTYPE', 'dtype'],
    [{ layout: 'lbd' }, 'ERR_OPTION', 'layout'],
    [{ z: new Float32Array(1) }, 'ERR_OPTION', 'z'],
    [{ batchInvariant: 1 }, 'ERR_OPTION', 'batchInvariant'],
    [{ u: new Float32Array(1) }, 'ERR_OPTION', "'u'"],
    [{ cuSeqlens: Int32Array.of(0, 128) }, 'ERR_SHAPE', 'batch'],
    [{ device: 'gpu' }, 'ERR_DEVICE', "'gpu'"],
  ])('refuses %j', (options, code, about) => {
    expectFailure(
      thrownBy(() => kernel(options as object)),
      { code, about },
    );
  });
});

describe('on cuda', () => {
  const kernel = (options: Partial<ScanKernelOptions> = {}) => scanKernel({ dims, device: 'cuda', ...options });

  (hasCudaBackend() ? test : test.skip)('says a kernel, with or without a GPU', () => {
    expect(kernel()).toMatch(/\w/);
    expect(kernel({ complexA: true })).not.toBe(kernel());
    const long = { ...dims, batch: 1, seqlen: 2 ** 16 };
    const cuSeqlens = Int32Array.from({ length: 2 ** 10 + 1 }, (_, i) => 2 ** 6 * i);
    expect(kernel({ dims: long })).not.toBe(kernel());
    expect(kernel({ dims: long, cuSeqlens })).not.toBe(kernel({ dims: long }));
  });

  // How many warps are in a block changes no sum.
  const lanes = (words: string): string => words.replace(/, \d+ warps? a block/, '');

  const operands = [{}, { constantB: true }, { constantC: true }, { constantB: true, constantC: true }];
  const cases = [4, 16, 20, 64, 128, 256, 300].flatMap((dstate) => operands.map((constant) => ({ dstate, constant })));

  (hasCudaBackend() ? test : test.skip).each(cases)(
    'with batchInvariant, by nothing but the sizes of a sequence: $dstate states, $constant',
    ({ dstate, constant }) => {
      const found = new Set<string>();
      const invariant = (options: Partial<ScanKernelOptions>) => {
        found.add(lanes(kernel({ ...constant, ...options, batchInvariant: true })));
      };
      for (const layout of ['bdl', 'bld'] as const) {
        for (const batch of [1, 7, 64, 1000]) {
          for (const seqlen of [1, 63, 2048, 2 ** 20]) {
            invariant({ dims: { batch, dim: 1536, seqlen, dstate }, layout });
          }
        }
        const cuSeqlens = Int32Array.of(0, 1, 1, 500, 2 ** 17);
        invariant({ dims: { batch: 1, dim: 1536, seqlen: 2 ** 17, dstate }, cuSeqlens, layout });
      }
      expect([...found]).toEqual([expect.not.stringContaining('chunks')]);
    },
  );

  (hasCudaBackend() ? test : test.skip).each(operands)('keeps up to 64 states in registers: %j', (constant) => {
    for (const dstate of [1, 16, 17, 64]) {
      const large = { batch: 64, dim: 5120, seqlen: 512, dstate };
      expect(kernel({ dims: large, ...constant })).toMatch(/^\d+ lanes? of \d+ states? a channel/);
    }
  });

  (hasCudaBackend() ? test.skip : test)('is unsupported by a build without CUDA', () => {
    expectFailure(thrownBy(kernel), { code: 'ERR_UNSUPPORTED', about: 'no CUDA backend' });
  });
});
