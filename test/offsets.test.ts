import { describe, expect, test } from '@jest/globals';
import { type CudaDevice, devices, selectiveScanSync, Tensor } from 'selective-scan';
import { relativeError, stateBound } from './support/closeness';
import { type CaseSpec, randomCase } from './support/random-case';
import { referenceScan } from './support/reference';
import './support/patience';

// More elements than 31 bits count, in three tensors of 4.6 GB; only a large GPU has room and speed for them.
const [batch, dim, seqlen, dstate] = [70_000, 2, 16_384, 2];
const large = devices().filter((each): each is CudaDevice => 'memory' in each && each.memory > 3e10);
const target = large[0]?.device ?? '(skipped: no GPU here with 30 GB)';

(large.length > 0 ? describe : describe.skip)(`on ${target}`, () => {
  test.each(['bdl', 'bld'] as const)('offsets past 2^31, %s', async (layout) => {
    // Every batch entry holds the same numbers, so that one entry's reference serves for all.
    const spec: Partial<CaseSpec> = { batch: 1, dim, seqlen, dstate, layout, dtype: 'bfloat16' };
    const bare = randomCase({ ...spec, constantB: true, constantC: true, D: false, z: false, deltaBias: false });
    const one = { ...bare, delta: bare.u };
    const bits = Tensor.from(Float32Array.from(one.u), [1, dim * seqlen], 'bfloat16').data;
    const all = new Uint16Array(batch * dim * seqlen);
    for (let start = 0; start < all.length; start += bits.length) all.set(bits, start);
    const dims = layout === 'bdl' ? [batch, dim, seqlen] : [batch, seqlen, dim];
    const host = Tensor.from(all, dims, 'bfloat16');
    const u = host.toSync(target);
    host.dispose();
    const matrix = (values: Float64Array) => Tensor.from(Float32Array.from(values), [dim, dstate]).toSync(target);
    const [A, B, C] = [matrix(one.A), matrix(one.B), matrix(one.C)];

    const first = selectiveScanSync({ u, delta: u, A, B, C, deltaSoftplus: true, layout, returnLastState: true });
    // What was written is read again by a second scan, whose states tell.
    const second = selectiveScanSync({
      u: first.out,
      delta: u,
      A,
      B,
      C,
      deltaSoftplus: true,
      layout,
      returnLastState: true,
    });

    const wanted = referenceScan(one);
    const firstOut = Tensor.from(Float32Array.from(wanted.out), [wanted.out.length], 'bfloat16').toArraySync();
    const wantedSecond = referenceScan({ ...one, u: Float64Array.from(firstOut) });
    for (const [{ lastState }, want, bound] of [
      [first, wanted, stateBound],
      [second, wantedSecond, 2e-3], // the first scan's outputs may round to a neighbour
    ] as const) {
      const states = await (lastState as Tensor).toArray();
      const width = dim * dstate;
      const worst = Array.from({ length: batch }, (_, b) =>
        relativeError(states.subarray(b * width, (b + 1) * width), want.lastState),
      ).reduce((most, error) => Math.max(most, error));
      expect(worst).toBeLessThan(bound);
    }
    for (const tensor of [u, A, B, C, first.out, second.out]) tensor.dispose();
  });
});
