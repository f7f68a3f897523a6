import { describe, expect, test } from '@jest/globals';
import { allocPinned, type SelectiveScanOptions, selectiveScan, selectiveScanSync, Tensor } from 'selective-scan';
import { fitsTypedArrays, tensorOptions, typedArrayOptions } from './support/call';
import { endsWell, runChild } from './support/child';
import { describeOnEachDevice } from './support/devices';
import { expectBothRefuse, expectFailure, type Failure, rejectionOf } from './support/failures';
import { type CaseSpec, randomCase } from './support/random-case';
import './support/patience';

type Options = SelectiveScanOptions<Float32Array>;
type Change = Partial<CaseSpec>;

const large = { batch: 2, dim: 64, seqlen: 20_481, dstate: 2 };
const rows: readonly [name: string, change: Change][] = [
  ['small', {}],
  ['small, bld', { layout: 'bld' }],
  ['complex, constant B', { complex: true, constantB: true }],
  ['packed', { batch: 1, cuSeqlens: [0, 9, 9, 40, 65], initialState: true }],
  ['large, bdl', large],
  ['large, bld', { ...large, layout: 'bld' }],
];

const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength);

describeOnEachDevice((device) => {
  const optionsOf = (change: Change = {}) => typedArrayOptions(randomCase(change), device) as Options;

  describe.each(rows)('%s', (_name, change) => {
    const options = optionsOf(change);
    const { length } = options.u;

    test.each([
      ['ordinary', () => new Float32Array(length)],
      ['pinned', () => allocPinned(length)],
      ['inside another', () => new Float32Array(length + 7).subarray(3, length + 3)],
    ])('Sync, %s: written, returned, and written again', (_kind, make) => {
      const want = selectiveScanSync<Float32Array>(options);
      const out = make();
      const around = new Float32Array(out.buffer).fill(-7);
      for (let call = 0; call < 2; call++) {
        out.fill(Number.NaN);
        const got = selectiveScanSync<Float32Array>({ ...options, out });
        expect(got.out).toBe(out);
        expect(bytes(out).equals(bytes(want.out))).toBe(true);
        expect(got.lastState).toEqual(want.lastState);
      }
      expect(around.filter((x) => x === -7)).toHaveLength(around.length - length);
    });

    test('promise, pinned: written, returned, and written again', async () => {
      const want = selectiveScanSync<Float32Array>(options);
      const whole = allocPinned(length + 7).fill(-7);
      const out = whole.subarray(3, length + 3);
      for (let call = 0; call < 2; call++) {
        out.fill(Number.NaN);
        const got = await selectiveScan<Float32Array>({ ...options, out });
        expect(got.out).toBe(out);
        expect(bytes(out).equals(bytes(want.out))).toBe(true);
        expect(got.lastState).toEqual(want.lastState);
      }
      expect(whole.filter((x) => x === -7)).toHaveLength(7);
    });
  });

  const half = randomCase({ dtype: 'float16' });
  (fitsTypedArrays(half) ? test : test.skip)('float16 in a Float16Array', async () => {
    const options = typedArrayOptions(half, device);
    const want = selectiveScanSync(options).out;
    const out = allocPinned(half.u.length, 'float16') as Float32Array;
    expect((await selectiveScan({ ...options, out })).out).toBe(out);
    expect(bytes(out).equals(bytes(want as Float32Array))).toBe(true);
    await expectBothRefuse({ ...options, out: allocPinned(half.u.length) }, { code: 'ERR_DTYPE', about: 'out' });
  });

  test('an empty batch takes an empty array', async () => {
    const options = { ...optionsOf({ batch: 0 }), out: allocPinned(0) };
    expect(selectiveScanSync(options).out).toBe(options.out);
    expect((await selectiveScan(options)).out).toBe(options.out);
  });

  const small = optionsOf();
  const { length } = small.u;
  const inOneBuffer = () => {
    const both = allocPinned(2 * length);
    return { u: both.subarray(0, length), out: both.subarray(length - 1, 2 * length - 1) };
  };
  const detached = () => {
    const out = new Float32Array(length);
    structuredClone(out.buffer, { transfer: [out.buffer] });
    return out;
  };
  test.each<[name: string, change: () => object, failure: Failure]>([
    ['too short', () => ({ out: allocPinned(length - 1) }), { code: 'ERR_SHAPE', about: 'out' }],
    ['too long', () => ({ out: allocPinned(length + 1) }), { code: 'ERR_SHAPE', about: 'out' }],
    ['detached', () => ({ out: detached() }), { code: 'ERR_SHAPE', about: 'out' }],
    ['another dtype', () => ({ out: new Int32Array(length) }), { code: 'ERR_DTYPE', about: 'out' }],
    ['bits', () => ({ out: new Uint16Array(length) }), { code: 'ERR_DTYPE', about: 'out' }],
    ['no typed array', () => ({ out: [1] }), { code: 'ERR_DTYPE', about: 'out' }],
    ['null', () => ({ out: null }), { code: 'ERR_DTYPE', about: 'out' }],
    ['an input', () => ({ out: small.z }), { code: 'ERR_OPTION', about: 'z' }],
    ['overlapping an input', inOneBuffer, { code: 'ERR_OPTION', about: 'u' }],
  ])('refused: %s', (_name, change, failure) => expectBothRefuse({ ...small, ...change() }, failure));

  test('refused: with tensors', async () => {
    const { options, tensors } = tensorOptions(randomCase(), device);
    await expectBothRefuse({ ...options, out: allocPinned(length) }, { code: 'ERR_OPTION', about: 'tensors' });
    for (const tensor of tensors) tensor.dispose();
  });

  test('refused: the memory of an input, by another buffer', async () => {
    using tensor = Tensor.from(small.u, [length]);
    using again = tensor.reshape([1, length]);
    const change = { u: tensor.data as Float32Array, out: again.data as Float32Array };
    await expectBothRefuse({ ...small, ...change }, { code: 'ERR_OPTION', about: 'u' });
  });

  test('next to an input in one buffer', async () => {
    const want = selectiveScanSync(small).out;
    const both = allocPinned(2 * length);
    const [u, out] = [both.subarray(0, length), both.subarray(length)];
    u.set(small.u);
    await selectiveScan({ ...small, u, out });
    expect(out).toEqual(want);
    expect(u).toEqual(small.u);
  });

  test('the promise form refuses an ordinary array', async () => {
    const rejection = await rejectionOf(selectiveScan({ ...small, out: new Float32Array(length) }));
    expectFailure(rejection, { code: 'ERR_OPTION', about: 'allocPinned' });
  });

  test('an aborted call leaves an array that the next can use', async () => {
    const options = optionsOf(large);
    const out = allocPinned(options.u.length);
    const controller = new AbortController();
    const call = selectiveScan({ ...options, out, signal: controller.signal });
    setImmediate(() => controller.abort());
    expectFailure(await rejectionOf(call), { code: 'ERR_ABORTED', about: 'aborted' });
    await selectiveScan({ ...options, out });
    expect(bytes(out).equals(bytes(selectiveScanSync(options).out))).toBe(true);
  });

  test('detached in flight, where the runtime does that, it is an error, and its memory lives on until the call is done', async () => {
    expect(await runChild('detached-out', [device], { flags: ['--expose-gc'] })).toMatchObject({
      ...endsWell,
      stdout: 'at once: right\nwhile it is written: right\n',
    });
  });
});
