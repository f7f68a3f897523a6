import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { Tensor } from 'selective-scan';
import { type FloatDType, type Progress, SafetensorsFile } from 'selective-scan/mamba';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import { newFolder } from './support/folders';
import { checkpointNames, goldenCheckpoint, modelNames, safetensorsBytes, trainedModel } from './support/model-files';
import { roundTo, valueOfBits } from './support/rounding';
import { readSafetensors } from './support/safetensors';
import './support/patience';

const dtypes = ['float32', 'float16', 'bfloat16'] as const;
const cpu = { device: 'cpu' };

function fileOf(bytes: Uint8Array): string {
  const path = join(newFolder(), 'model.safetensors');
  writeFileSync(path, bytes);
  return path;
}

/** One float32 tensor 'a' of that many elements, which count up. */
function countingFile(elements: number): string {
  const data = Float32Array.from({ length: elements }, (_, i) => i);
  const header = { a: { dtype: 'F32', shape: [elements], data_offsets: [0, 4 * elements] } };
  return fileOf(safetensorsBytes(header, new Uint8Array(data.buffer)));
}

describeOnEachDevice((device) => {
  // Rounding millions of values by the definition takes long: the trained models are read as they are.
  const rows: [name: string, folder: string, dtypes: readonly (FloatDType | undefined)[]][] = [
    ...checkpointNames.map((name): (typeof rows)[0] => [name, goldenCheckpoint(name), [undefined, ...dtypes]]),
    ...modelNames.map((name): (typeof rows)[0] => [name, trainedModel(name), [undefined]]),
  ];

  test.each(rows)('%s, each tensor', async (_, folder, asked) => {
    const path = join(folder, 'model.safetensors');
    const want = readSafetensors(path);
    const file = await SafetensorsFile.open(path);
    try {
      expect([...file.tensors.keys()].sort()).toEqual(Object.keys(want).sort());
      for (const [name, { dtype: stored, shape, values }] of Object.entries(want)) {
        for (const dtype of asked) {
          using tensor = await file.tensor(name, { device, dtype });
          expect(tensor.dtype).toBe(dtype ?? (stored === 'F32' ? 'float32' : 'bfloat16'));
          expect([tensor.device, tensor.dims]).toEqual([device, shape]);
          const got = await tensor.toArray();
          const off = values.findIndex((value, i) => !Object.is(got[i], dtype ? roundTo(dtype, value) : value));
          expect([name, dtype, off]).toEqual([name, dtype, -1]);
        }
      }
    } finally {
      await file.close();
    }
  });

  test('a tensor of several pieces, with progress', async () => {
    const elements = 2_200_001;
    const piece = (device === 'cpu' ? 1 : 8) * 2 ** 20;
    const file = await SafetensorsFile.open(countingFile(elements));
    const seen: Progress[] = [];
    using tensor = await file.tensor('a', { device, onProgress: (progress) => seen.push(progress) });
    await file.close();
    const got = await tensor.toArray();
    expect(got.length).toBe(elements);
    expect(got.findIndex((value, i) => value !== i)).toBe(-1);
    const wholePieces = Math.floor((4 * elements) / piece);
    expect(seen.map(({ done }) => done)).toEqual([
      ...Array.from({ length: wholePieces }, (_, i) => (i + 1) * piece),
      4 * elements,
    ]);
    expect(seen.every(({ total }) => total === 4 * elements)).toBe(true);
  });
});

test.each(dtypes)('a tensor of several pieces of 16 bits as %s', async (dtype) => {
  const bits = Uint16Array.from({ length: 1_200_001 }, (_, i) => 0x3c00 + (i % 0x3000)); // 2^-7 and more as bfloat16
  const header = { a: { dtype: 'BF16', shape: [bits.length], data_offsets: [0, bits.byteLength] } };
  await using file = await SafetensorsFile.open(fileOf(safetensorsBytes(header, new Uint8Array(bits.buffer))));
  using tensor = await file.tensor('a', { ...cpu, dtype });
  const got = await tensor.toArray();
  expect(got.findIndex((value, i) => value !== roundTo(dtype, valueOfBits('bfloat16', bits[i])))).toBe(-1);
});

describe('conversion rounds once, to nearest even', () => {
  const every = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);
  // Each 16-bit value, the points half-way to the next, and their neighbours.
  const around = (dtype: 'float16' | 'bfloat16') => {
    const values: number[] = [];
    for (const bits of every.subarray(0, 2 ** 15)) {
      const [low, high] = [valueOfBits(dtype, bits), valueOfBits(dtype, bits + 1)];
      if (!Number.isFinite(low)) continue;
      const half = Math.fround(Number.isFinite(high) ? (low + high) / 2 : low * (1 + 2 ** -12));
      values.push(low, half, -half, Math.fround(half * (1 + 2 ** -23)), Math.fround(half * (1 - 2 ** -24)));
    }
    return Float32Array.from([...values, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0]);
  };
  const sources = {
    'all of float16': ['F16', every],
    'all of bfloat16': ['BF16', every],
    'float32 around float16': ['F32', around('float16')],
    'float32 around bfloat16': ['F32', around('bfloat16')],
  } as const;

  test.each(Object.entries(sources))('%s', async (_, [dtype, data]) => {
    const header = { a: { dtype, shape: [data.length], data_offsets: [0, data.byteLength] } };
    const path = fileOf(safetensorsBytes(header, new Uint8Array(data.buffer)));
    const { values } = readSafetensors(path).a;
    const file = await SafetensorsFile.open(path);
    for (const to of dtypes) {
      using tensor = await file.tensor('a', { ...cpu, dtype: to });
      const got = valuesOf(tensor.data, to);
      const off = values.findIndex((value, i) => !Object.is(got[i], roundTo(to, value)));
      expect([to, off < 0 ? [] : [values[off], got[off]]]).toEqual([to, []]);
    }
    await file.close();
  });

  function valuesOf(data: ArrayLike<number>, dtype: FloatDType): Float64Array {
    return Float64Array.from(data, (value) => (dtype === 'float32' ? value : valueOfBits(dtype, value)));
  }
});

describe('files that are right, if unusual', () => {
  const f32 = (begin: number, end: number, shape: number[]) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });

  test('tensors at odd bytes, in another order, empty, without axes; metadata; a padded header', async () => {
    const header = {
      late: f32(1, 9, [2]),
      __metadata__: { format: 'pt' },
      early: { dtype: 'U8', shape: [1], data_offsets: [0, 1] },
      none: f32(9, 9, [3, 0]),
      scalar: f32(9, 13, []),
      ['__proto__']: f32(13, 17, [1, 1]),
    };
    const data = Buffer.alloc(17);
    for (const [i, at] of [1, 5, 9, 13].entries()) data.writeFloatLE(i + 0.5, at);
    const file = await SafetensorsFile.open(fileOf(safetensorsBytes(`${JSON.stringify(header)}   `, data)));
    expect([...file.tensors.keys()]).toEqual(['late', 'early', 'none', 'scalar', '__proto__']);
    const read = async (name: string) => {
      using tensor = await file.tensor(name, cpu);
      return [tensor.dims, Array.from(await tensor.toArray())];
    };
    expect(await read('late')).toEqual([[2], [0.5, 1.5]]);
    expect(await read('none')).toEqual([[3, 0], []]);
    expect(await read('scalar')).toEqual([[], [2.5]]);
    expect(await read('__proto__')).toEqual([[1, 1], [3.5]]);
    await file.close();
  });

  test('no tensors at all', async () => {
    const file = await SafetensorsFile.open(fileOf(safetensorsBytes({})));
    expect(file.tensors.size).toBe(0);
    await file.close();
  });

  test('beyond 4 GB', async () => {
    const far = 5 * 2 ** 30;
    const header = { hole: { dtype: 'U8', shape: [far], data_offsets: [0, far] }, a: f32(far, far + 8, [2]) };
    const start = safetensorsBytes(header);
    const path = fileOf(start);
    const handle = openSync(path, 'r+');
    ftruncateSync(handle, start.length + far + 8); // a hole, which takes no room on the disk
    writeSync(handle, Buffer.from(Float32Array.of(1.5, -2).buffer), 0, 8, start.length + far);
    closeSync(handle);
    const file = await SafetensorsFile.open(path);
    using tensor = await file.tensor('a', cpu);
    expect(Array.from(tensor.data)).toEqual([1.5, -2]);
    await file.close();
  });
});

describe('files that are wrong', () => {
  const a = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const withEntry = (change: object) => safetensorsBytes({ a: { ...a, ...change } }, 8);
  const two = (one: number[], other: number[], data: number) =>
    safetensorsBytes(
      {
        one: { dtype: 'U8', shape: [one[1] - one[0]], data_offsets: one },
        other: { dtype: 'U8', shape: [other[1] - other[0]], data_offsets: other },
      },
      data,
    );
  const withLength = (length: bigint) => {
    const bytes = safetensorsBytes({ a }, 8);
    bytes.writeBigUInt64LE(length);
    return bytes;
  };
  const good = safetensorsBytes({ a }, 8);

  const rows: [what: string, bytes: Uint8Array, about: string][] = [
    ['no bytes', Buffer.alloc(0), "8 bytes, its header's length but received 0."],
    ['one byte', good.subarray(0, 1), 'received 1.'],
    ['seven bytes', good.subarray(0, 7), 'received 7.'],
    ['eight bytes', good.subarray(0, 8), 'to have at most 0 bytes'],
    ['a header cut short', good.subarray(0, 30), 'to have at most 22 bytes'],
    ['a header of length 0', withLength(0n), 'to begin with {'],
    ['a header longer than the file', withLength(BigInt(good.length - 7)), `at most ${good.length - 8} bytes`],
    ['a header of 2^64 - 1 bytes', withLength(2n ** 64n - 1n), 'received 18446744073709551615.'],
    ['a header of more than 8 MB', safetensorsBytes(`{${' '.repeat(2 ** 23)}}`), 'at most 8388608 bytes'],
    ['a header that ends early', withLength(20n), 'to be JSON but received other text'],
    ['a header that takes in data', withLength(BigInt(good.length - 8)), 'to be JSON'],
    ['text that is not JSON', safetensorsBytes('{a: 1}'), 'to be JSON'],
    ['a space first', safetensorsBytes(' {}'), 'to begin with {'],
    ['an array', safetensorsBytes('[]'), 'to begin with {'],
    ['two objects', safetensorsBytes('{}{}'), 'to be JSON'],
    ['bytes that are not UTF-8', safetensorsBytes('{"\u0000"}').fill(0xff, 10, 11), 'UTF-8'],
    ['deep nesting', safetensorsBytes(`{"a":${'['.repeat(1e6)}`), 'to nest at most 32 levels'],
    ['an endless string', safetensorsBytes(`{"${'\\\\'.repeat(4e6)}`), 'to be JSON'],
    [
      'a name twice',
      safetensorsBytes('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":1}'),
      "'a' twice",
    ],
    ['a field twice', safetensorsBytes('{"a":{"dtype":"F32","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'), 'twice'],
    ['__metadata__ of numbers', safetensorsBytes({ __metadata__: { format: 1 } }), '__metadata__'],
    ['__metadata__ of text', safetensorsBytes({ __metadata__: 'pt' }), '__metadata__'],
    ['a tensor that is null', safetensorsBytes({ a: null }), "tensor 'a'"],
    ['a tensor that is an array', safetensorsBytes({ a: [] }), "tensor 'a'"],
    ['line ends in a name', safetensorsBytes({ 'a\nb': null }), "tensor 'a b' of"],
    ['a field too many', withEntry({ stride: [1] }), "'stride'"],
    ['no dtype', withEntry({ dtype: undefined }), 'dtype'],
    ['a dtype of lower case', withEntry({ dtype: 'f32' }), "'a' of"],
    ['a dtype that objects inherit', withEntry({ dtype: 'toString' }), 'dtype'],
    ['a dtype that is a number', withEntry({ dtype: 32 }), 'but received 32.'],
    ['no shape', withEntry({ shape: undefined }), 'shape'],
    ['a shape that is a number', withEntry({ shape: 2 }), 'shape of whole numbers but received 2.'],
    ['a negative size', withEntry({ shape: [-2] }), 'but received [-2].'],
    ['two negative sizes', withEntry({ shape: [-1, -2] }), 'but received [-1,-2].'],
    ['a fraction of a size', withEntry({ shape: [0.5, 4] }), 'but received [0.5,4].'],
    ['a size as text', withEntry({ shape: ['2'] }), 'shape'],
    ['a size beyond 2^53', withEntry({ shape: [2 ** 53] }), 'shape'],
    ['a product beyond 2^53', withEntry({ shape: [2 ** 30, 2 ** 30] }), 'to have fewer elements'],
    ['a product that is 0 only at its end', withEntry({ shape: [2 ** 30, 2 ** 30, 0] }), 'to have fewer elements'],
    ['a product that is 2 modulo 2^64', withEntry({ shape: [2 ** 32 + 1, 2 ** 32 + 1] }), 'to have fewer elements'],
    ['no offsets', withEntry({ data_offsets: undefined }), 'data_offsets'],
    ['one offset', withEntry({ data_offsets: [0] }), 'data_offsets'],
    ['three offsets', withEntry({ data_offsets: [0, 8, 8] }), 'data_offsets'],
    ['a negative offset', withEntry({ data_offsets: [-8, 0] }), 'but received [-8,0].'],
    ['a fraction of an offset', withEntry({ data_offsets: [0.5, 8.5] }), 'data_offsets'],
    ['an offset beyond 2^53', withEntry({ data_offsets: [2 ** 60, 2 ** 60 + 4096] }), 'data_offsets'],
    ['offsets in reverse', withEntry({ data_offsets: [8, 0] }), 'in order but received [8,0].'],
    ['offsets as text', withEntry({ data_offsets: ['0', '8'] }), 'data_offsets'],
    ['a byte too few for the shape', withEntry({ data_offsets: [0, 7] }), 'the 8 bytes of F32 [2] but received 7.'],
    ['a byte too many', withEntry({ data_offsets: [0, 9] }), 'received 9.'],
    ['half a byte too many', withEntry({ dtype: 'F4', shape: [15], data_offsets: [0, 8] }), 'the 7.5 bytes'],
    ['offsets beyond the file', withEntry({ data_offsets: [8, 16] }), 'a gap'],
    ['offsets far beyond the file', withEntry({ data_offsets: [2 ** 50, 2 ** 50 + 8] }), 'a gap'],
    ['data cut short', good.subarray(0, -1), 'to have 8 bytes of tensors but received 7.'],
    ['data after the last tensor', Buffer.concat([good, Buffer.alloc(1)]), 'received 9.'],
    ['a gap before the first', two([1, 4], [4, 8], 8), "'one'"],
    ['a gap between', two([0, 3], [4, 8], 8), "'other'"],
    ['an overlap', two([0, 5], [4, 8], 8), 'an overlap (it begins at 4)'],
    ['a tensor within another', two([0, 8], [2, 4], 8), 'an overlap'],
    ['the same bytes twice', two([0, 8], [0, 8], 8), 'an overlap'],
    ['no tensor for the data', safetensorsBytes({}, 8), 'to have 0 bytes of tensors but received 8.'],
  ];

  test.each(rows)('%s', async (_, bytes, about) => {
    expectFailure(await rejectionOf(SafetensorsFile.open(fileOf(bytes))), { code: 'ERR_CHECKPOINT', about });
  });

  test('a message stays short, whatever the file holds', async () => {
    const entries = Object.fromEntries(['x', 'y'].map((key) => [key.repeat(1e6), 0]));
    const error = (await rejectionOf(SafetensorsFile.open(fileOf(safetensorsBytes(entries))))) as Error;
    expectFailure(error, { code: 'ERR_CHECKPOINT', about: 'xxx...' });
    expect(error.message.length).toBeLessThan(1000);
  });

  test('a file that is not there, and a folder', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'model.safetensors'));
    const missing = await rejectionOf(SafetensorsFile.open(join(folder, 'none.safetensors')));
    expectFailure(missing, { code: 'ERR_CHECKPOINT', about: 'ENOENT' });
    const isFolder = await rejectionOf(SafetensorsFile.open(join(folder, 'model.safetensors')));
    expectFailure(isFolder, { code: 'ERR_CHECKPOINT', about: 'to be a file but received a folder or device' });
  });

  (process.platform === 'win32' ? test.skip : test)('a named pipe does not keep the caller waiting', async () => {
    const path = join(newFolder(), 'model.safetensors');
    execFileSync('mkfifo', [path]);
    const error = await rejectionOf(SafetensorsFile.open(path));
    expectFailure(error, { code: 'ERR_CHECKPOINT', about: 'to be a file' });
  });

  test.each(['U8', 'I64', 'F64', 'BOOL', 'F8_E4M3', 'C64'])('a tensor of %s can be seen, not read', async (dtype) => {
    const size = { U8: 16, BOOL: 16, F8_E4M3: 16 }[dtype] ?? 2;
    const header = { a: { dtype, shape: [size], data_offsets: [0, 16] } };
    const file = await SafetensorsFile.open(fileOf(safetensorsBytes(header, 16)));
    expect(file.tensors.get('a')).toMatchObject({ dtype, shape: [size] });
    const about = `to be of F32, F16 or BF16 but received ${dtype}.`;
    expectFailure(await rejectionOf(file.tensor('a', cpu)), { code: 'ERR_CHECKPOINT', about });
    await file.close();
  });
});

describe('while a file is read', () => {
  const elements = 700_001;

  test.each([
    ['cut short', (path: string) => truncateSync(path, 2_000_000)],
    ['emptied', (path: string) => truncateSync(path, 0)],
    ['made longer', (path: string) => appendFileSync(path, 'x')],
  ])('%s: an error', async (_, change) => {
    const path = countingFile(elements);
    const file = await SafetensorsFile.open(path);
    const onProgress = ({ done }: Progress) => done === 2 ** 20 && change(path);
    const error = await rejectionOf(file.tensor('a', { ...cpu, onProgress }));
    expectFailure(error, { code: 'ERR_CHECKPOINT', about: 'to keep its length of' });
    await file.close();
  });

  test('closed: an error, then and later', async () => {
    const file = await SafetensorsFile.open(countingFile(elements));
    const error = await rejectionOf(file.tensor('a', { ...cpu, onProgress: () => void file.close() }));
    expectFailure(error, { code: 'ERR_DISPOSED', about: 'to be open' });
    expectFailure(await rejectionOf(file.tensor('a', cpu)), { code: 'ERR_DISPOSED', about: 'to be open' });
    await file.close();
  });

  test('aborted: an error, and the file can be read again', async () => {
    const file = await SafetensorsFile.open(countingFile(elements));
    const controller = new AbortController();
    const { signal } = controller;
    const dispose = jest.spyOn(Tensor.prototype, 'dispose');
    let pieces = 0;
    const onProgress = () => {
      pieces++;
      controller.abort('enough');
    };
    const error = await rejectionOf(file.tensor('a', { ...cpu, signal, onProgress }));
    expectFailure(error, { code: 'ERR_ABORTED', about: 'aborted' });
    expect(dispose).toHaveBeenCalledTimes(1);
    dispose.mockRestore();
    expect([(error as Error).cause, pieces]).toEqual(['enough', 1]);
    expectFailure(await rejectionOf(file.tensor('a', { ...cpu, signal })), { code: 'ERR_ABORTED', about: 'aborted' });
    using tensor = await file.tensor('a', cpu);
    expect(tensor.data[elements - 1]).toBe(elements - 1);
    await file.close();
  });

  test('an error that onProgress throws comes out as it is', async () => {
    const file = await SafetensorsFile.open(countingFile(8));
    const mine = new RangeError('mine');
    const onProgress = () => {
      throw mine;
    };
    expect(await rejectionOf(file.tensor('a', { ...cpu, onProgress }))).toBe(mine);
    await file.close();
  });
});

describe('arguments', () => {
  const rows: [what: string, name: unknown, options: unknown, code: string, about: string][] = [
    ['a name that is not there', 'b', cpu, 'ERR_OPTION', "but received 'b'."],
    ['a name that objects inherit', 'constructor', cpu, 'ERR_OPTION', 'name'],
    ['no name', undefined, cpu, 'ERR_OPTION', 'name'],
    ['a dtype of another kind', 'a', { ...cpu, dtype: 'int32' }, 'ERR_DTYPE', "'float16' or 'bfloat16'"],
    ['a dtype by its name in files', 'a', { ...cpu, dtype: 'F32' }, 'ERR_DTYPE', "'F32'"],
    ['a dtype that is null', 'a', { ...cpu, dtype: null }, 'ERR_DTYPE', 'null'],
    ['a device that is none', 'a', { device: 'gpu' }, 'ERR_DEVICE', "'gpu'"],
    ['a device that is not there', 'a', { device: 'cuda:99' }, 'ERR_DEVICE', 'cuda:99'],
    ['an option that is none', 'a', { ...cpu, type: 'float32' }, 'ERR_OPTION', "'type'"],
    ['options that are none', 'a', 'float32', 'ERR_OPTION', 'options'],
    ['onProgress that is none', 'a', { ...cpu, onProgress: 1 }, 'ERR_OPTION', 'onProgress'],
    ['a signal that is none', 'a', { ...cpu, signal: 1 }, 'ERR_OPTION', 'signal'],
  ];

  test.each([undefined, null, 7, {}, Buffer.from('x')])('a path that is none', async (path) => {
    const error = await rejectionOf(SafetensorsFile.open(path as string));
    expectFailure(error, { code: 'ERR_OPTION', about: 'Expected path to be a string' });
  });

  test('a path that no file can have', async () => {
    const error = await rejectionOf(SafetensorsFile.open('a\0b'));
    expectFailure(error, { code: 'ERR_CHECKPOINT', about: 'ERR_INVALID_ARG_VALUE' });
  });

  test.each(rows)('%s', async (_, name, options, code, about) => {
    const file = await SafetensorsFile.open(countingFile(2));
    expectFailure(await rejectionOf(file.tensor(name as string, options as object)), { code, about });
    await file.close();
  });
});
