import { describe, expect, test } from '@jest/globals';
import { selectiveScanSync, Tensor } from 'selective-scan';
import { typedArrayOptions } from './support/call';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, thrownBy } from './support/failures';
import { randomCase } from './support/random-case';
import { valueOfBits } from './support/rounding';

const half = ['float16', 'bfloat16'] as const;
const everyBitPattern = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

test('says what it is', () => {
  const tensor = Tensor.from(new Float32Array(24), [2, 3, 4]);
  expect(tensor).toMatchObject({ dims: [2, 3, 4], dtype: 'float32', device: 'cpu', size: 24, disposed: false });
});

test('complex dims count complex numbers', () => {
  const tensor = Tensor.from(Float32Array.of(1, 2, 3, 4), [2], 'complex64');
  expect(tensor).toMatchObject({ dims: [2], dtype: 'complex64', size: 2 });
  expect(Array.from(tensor.toArraySync())).toEqual([1, 2, 3, 4]);
});

test('integers keep their dtype', () => {
  const tensor = Tensor.from(Int32Array.of(-1, 2 ** 31 - 1), [2]);
  expect(tensor.dtype).toBe('int32');
  expect(Array.from(tensor.toArraySync())).toEqual([-1, 2 ** 31 - 1]);
});

test('copies what it is given', () => {
  const source = Float32Array.of(1, 2);
  const tensor = Tensor.from(source, [2]);
  source[0] = 9;
  expect(Array.from(tensor.data)).toEqual([1, 2]);
});

test('its dims are its own', () => {
  const dims = [2, 3];
  const tensor = Tensor.from(new Float32Array(6), dims);
  dims[0] = 5;
  expect(tensor.dims).toEqual([2, 3]);
});

test('data is a live view, toArray a copy', () => {
  const tensor = Tensor.from(Float32Array.of(1, 2), [2]);
  const copy = tensor.toArraySync();
  tensor.data[0] = 9;
  expect(tensor.data[0]).toBe(9);
  expect(Array.from(tensor.toArraySync())).toEqual([9, 2]);
  expect(Array.from(copy)).toEqual([1, 2]);
});

test.each([
  ['no elements', [0, 3], 0],
  ['no axes', [], 1],
])('may have %s', async (_name, dims, size) => {
  const tensor = Tensor.from(new Float32Array(size), dims);
  expect(tensor.size).toBe(size);
  expect(await tensor.toArray()).toHaveLength(size);
});

test('a reshaped tensor is the same memory, which either keeps', () => {
  const tensor = Tensor.from(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
  const reshaped = tensor.reshape([3, 2, 1]);
  expect(reshaped).toMatchObject({ dims: [3, 2, 1], dtype: 'float32', device: 'cpu' });
  tensor.data[5] = 9;
  tensor.dispose();
  expect(Array.from(reshaped.toArraySync())).toEqual([1, 2, 3, 4, 5, 9]);
  expectFailure(
    thrownBy(() => reshaped.reshape([7])),
    { code: 'ERR_SHAPE', about: '7 but received 6' },
  );
  expectFailure(
    thrownBy(() => tensor.reshape([6])),
    { code: 'ERR_DISPOSED', about: 'tensor' },
  );
});

test('a view into a larger buffer is read from its offset', () => {
  const view = Float32Array.of(0, 1, 2, 3, 4).subarray(2, 4);
  expect(Array.from(Tensor.from(view, [2]).toArraySync())).toEqual([2, 3]);
});

test('operands may be views and shared memory', () => {
  const problem = randomCase({ batch: 1, dim: 3, seqlen: 5, dstate: 2 });
  const options = typedArrayOptions(problem, 'cpu');
  const want = Array.from(selectiveScanSync(options).out as Float32Array);
  const padded = new Float32Array(problem.u.length + 3);
  padded.set(problem.u, 3);
  const shared = new Float32Array(new SharedArrayBuffer(4 * problem.delta.length));
  shared.set(problem.delta);
  const again = selectiveScanSync({ ...options, u: padded.subarray(3), delta: shared });
  expect(Array.from(again.out as Float32Array)).toEqual(want);
});

test('shared memory makes a tensor', () => {
  const shared = new Float32Array(new SharedArrayBuffer(8));
  shared.set([1, 2]);
  expect(Array.from(Tensor.from(shared, [2]).toArraySync())).toEqual([1, 2]);
});

describe.each(half)('%s', (dtype) => {
  test('every bit pattern means what it should', () => {
    const tensor = Tensor.from(everyBitPattern, [65536], dtype);
    const want = Float32Array.from(everyBitPattern, (bits) => valueOfBits(dtype, bits));
    expect(differing(tensor.toArraySync(), want)).toEqual([]);
    expect(tensor.data).toEqual(everyBitPattern);
  });

  test('every value survives rounding', () => {
    const values = Float32Array.from(everyBitPattern, (bits) => valueOfBits(dtype, bits));
    expect(differing(Tensor.from(values, [65536], dtype).toArraySync(), values)).toEqual([]);
  });

  test('rounds to nearest, ties to even, everywhere', () => {
    // Between each two neighbours: the middle, which goes to the even one, and the float32 values beside it.
    const largest = dtype === 'float16' ? 0x7bff : 0x7f7f;
    const [given, want]: [number[], number[]] = [[], []];
    for (let bits = 0; bits < largest; bits++) {
      const [low, high] = [valueOfBits(dtype, bits), valueOfBits(dtype, bits + 1)];
      const middle = (low + high) / 2;
      const [below, above] = besideInFloat32(middle);
      given.push(below, middle, above, -below, -middle, -above);
      const even = bits % 2 === 0 ? low : high;
      want.push(low, even, high, -low, -even, -high);
    }
    const rounded = Tensor.from(Float32Array.from(given), [given.length], dtype).toArraySync();
    expect(differing(rounded, want)).toEqual([]);
  });

  test('beyond the range is infinity, from halfway on', () => {
    const largest = valueOfBits(dtype, dtype === 'float16' ? 0x7bff : 0x7f7f);
    const step = largest - valueOfBits(dtype, dtype === 'float16' ? 0x7bfe : 0x7f7e);
    const halfway = largest + step / 2;
    const [below] = besideInFloat32(halfway);
    const given = Float32Array.of(below, halfway, -halfway, 3.4e38, Number.POSITIVE_INFINITY);
    const want = [
      largest,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ];
    expect(Array.from(Tensor.from(given, [5], dtype).toArraySync())).toEqual(want);
  });

  test('NaN stays NaN, whatever its payload', () => {
    const bits = Uint32Array.of(0x7fc00000, 0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff);
    const tensor = Tensor.from(new Float32Array(bits.buffer), [5], dtype);
    expect(Array.from(tensor.toArraySync()).every(Number.isNaN)).toBe(true);
  });

  test('the sign of zero stays', () => {
    const [zero, negative, tiny] = Tensor.from(Float32Array.of(0, -0, -1e-45), [3], dtype).toArraySync();
    expect([Object.is(zero, 0), Object.is(negative, -0), Object.is(tiny, -0)]).toEqual([true, true, true]);
  });
});

const float16Array = (globalThis as any).Float16Array;
const [registerFloat16, note] = float16Array ? [test, ''] : [test.skip, ' (skipped: this runtime has none)'];

registerFloat16(`a Float16Array needs no dtype${note}`, () => {
  const tensor = Tensor.from(new float16Array([1, 65504, 2 ** -24]), [3]);
  expect(tensor.dtype).toBe('float16');
  expect(Array.from(tensor.toArraySync())).toEqual([1, 65504, 2 ** -24]);
});

describe('dispose', () => {
  test('twice is fine', () => {
    const tensor = Tensor.from(new Float32Array(4), [4]);
    tensor.dispose();
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
  });

  test('what it was can still be asked', () => {
    const tensor = Tensor.from(new Float32Array(4), [4]);
    tensor.dispose();
    expect(tensor).toMatchObject({ dims: [4], dtype: 'float32', device: 'cpu', size: 4 });
  });

  test('using disposes at the end of the block', () => {
    let outside: Tensor;
    {
      using tensor = Tensor.from(new Float32Array(4), [4]);
      outside = tensor;
      expect(outside.disposed).toBe(false);
    }
    expect(outside.disposed).toBe(true);
  });

  test('leaves copies alone', () => {
    const tensor = Tensor.from(Float32Array.of(1, 2), [2]);
    const copy = tensor.toSync('cpu');
    tensor.dispose();
    expect(Array.from(copy.toArraySync())).toEqual([1, 2]);
  });
});

describeOnEachDevice((device) => {
  test.each([
    ['float32', new Float32Array([1.5, -0, 1e-40, 3e38, Number.NaN, Number.POSITIVE_INFINITY])],
    ['complex64', new Float32Array([1, 2, 3, 4, 5, 6])],
    ['int32', new Int32Array([1, -2, 3, -4, 2 ** 31 - 1, -(2 ** 31)])],
  ] as const)('%s comes back from the device as it went', async (dtype, data) => {
    const source = Tensor.from(data, dtype === 'complex64' ? [3] : [6], dtype);
    const there = await source.to(device);
    expect(there).toMatchObject({ dims: source.dims, dtype, device });
    expect(there).not.toBe(source);
    expect(Array.from(await there.toArray())).toEqual(Array.from(data));
    expect(Array.from(source.toSync(device).toArraySync())).toEqual(Array.from(data));
    expect(Array.from((await there.to('cpu')).data)).toEqual(Array.from(data));
  });

  test.each(half)('%s keeps its bits on the device', async (dtype) => {
    const there = Tensor.from(everyBitPattern, [256, 256], dtype).toSync(device);
    expect((await there.to('cpu')).data).toEqual(everyBitPattern);
  });

  test('a tensor without elements goes there and back', async () => {
    const there = await Tensor.from(new Float32Array(0), [0, 3]).to(device);
    expect(await there.toArray()).toHaveLength(0);
  });
});

/** Where two lists differ, NaN being like NaN and 0 unlike -0; the first few. */
function differing(got: ArrayLike<number>, want: ArrayLike<number>): string[] {
  const found: string[] = [];
  for (let i = 0; i < want.length && found.length < 5; i++) {
    if (!Object.is(got[i], want[i])) found.push(`[${i}] ${got[i]} instead of ${want[i]}`);
  }
  return found;
}

/** The float32 values next to a positive float32 value. */
function besideInFloat32(value: number): [number, number] {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] as number;
  const [below, above] = new Float32Array(Uint32Array.of(bits - 1, bits + 1).buffer);
  return [below as number, above as number];
}
