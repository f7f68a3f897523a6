import { describe, expect, test } from '@jest/globals';
import { allocPinned, type SelectiveScanOptions, selectiveScan, selectiveScanSync, Tensor } from 'selective-scan';
import { typedArrayOptions } from './support/call';
import { endsWell, runChild } from './support/child';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, thrownBy } from './support/failures';
import { randomCase } from './support/random-case';
import './support/patience';

const hasFloat16Array = 'Float16Array' in globalThis;

test.each([
  [undefined, 'Float32Array', 5],
  ['float32', 'Float32Array', 5],
  ['float16', hasFloat16Array ? 'Float16Array' : 'Uint16Array', 5],
  ['bfloat16', 'Uint16Array', 5],
  ['complex64', 'Float32Array', 10],
  ['int32', 'Int32Array', 5],
] as const)('%s is a %s of zeros', (dtype, kind, length) => {
  const array = dtype === undefined ? allocPinned(5) : allocPinned(5, dtype);
  expect(Object.prototype.toString.call(array)).toBe(`[object ${kind}]`);
  expect([...(array as Float32Array)]).toEqual(Array(length).fill(0));
});

test('an empty one is an array like any other', () => {
  expect(allocPinned(0)).toHaveLength(0);
});

test('a Tensor is made from one', () => {
  const array = allocPinned(3);
  array.set([1, 2, 3]);
  expect(Tensor.from(array, [3]).data).toEqual(Float32Array.of(1, 2, 3));
});

describe('errors', () => {
  test.each([
    [-1, 'float32', 'ERR_SHAPE', 'length'],
    [1.5, 'float32', 'ERR_SHAPE', 'length'],
    [2 ** 52, 'float32', 'ERR_SHAPE', 'length'],
    [2 ** 49, 'float32', 'ERR_OUT_OF_MEMORY', 'bytes'],
    [1, 'float64', 'ERR_DTYPE', 'dtype'],
  ])('%d of %s', (length, dtype, code, about) => {
    expectFailure(
      thrownBy(() => allocPinned(length, dtype as 'float32')),
      { code, about },
    );
  });
});

describeOnEachDevice((device) => {
  test.each([
    ['small', { batch: 1, dim: 33, seqlen: 65 }],
    ['large', { batch: 2, dim: 64, seqlen: 20_481, dstate: 2 }],
    ['large, bld', { batch: 2, dim: 64, seqlen: 20_481, dstate: 2, layout: 'bld' as const }],
    ['large, packed', { batch: 1, dim: 96, seqlen: 20_481, dstate: 2, cuSeqlens: [0, 9, 9, 8000, 20_481] }],
  ])('calls on pinned arrays give the bits of calls on others, %s', async (_name, change) => {
    const options = typedArrayOptions(randomCase({ ...change, initialState: true }), device);
    const pinned = pinnedCopy(options);
    const want = selectiveScanSync(options);
    for (const got of [selectiveScanSync(pinned), await selectiveScan(pinned), await selectiveScan(options)]) {
      expect(Buffer.from((got.out as Float32Array).buffer).equals(Buffer.from((want.out as Float32Array).buffer))).toBe(
        true,
      );
      expect(got.lastState).toEqual(want.lastState);
    }
    const mixed = await selectiveScan({ ...options, z: pinned.z as Float32Array, B: pinned.B });
    expect(mixed.lastState).toEqual(want.lastState);
  });

  test('collected or detached in flight, they live on until the call is done', async () => {
    expect(await runChild('pinned', [device], { flags: ['--expose-gc'] })).toMatchObject({
      ...endsWell,
      stdout: 'collected: equal\ndetached: equal\n',
    });
  });
});

function pinnedCopy(options: SelectiveScanOptions): SelectiveScanOptions {
  const copies = Object.entries(options).map(([name, value]) => {
    if (!(value instanceof Float32Array)) return [name, value];
    const copy = allocPinned(value.length);
    copy.set(value);
    return [name, copy];
  });
  return Object.fromEntries(copies);
}
