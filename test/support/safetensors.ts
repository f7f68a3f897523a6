import { readFileSync } from 'node:fs';
import { valueOfBits } from './rounding';

export interface StoredTensor {
  dtype: 'F32' | 'F16' | 'BF16' | 'I32';
  shape: number[];
  values: Float64Array;
}

const bytesPerValue = { F32: 4, F16: 2, BF16: 2, I32: 4 };

/** Reads a whole safetensors file, and refuses what it does not expect. */
export function readSafetensors(path: string): Record<string, StoredTensor> {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength));
  const data = file.subarray(8 + headerLength);
  let covered = 0;
  const tensors: Record<string, StoredTensor> = {};
  for (const [name, entry] of Object.entries<any>(header)) {
    if (name === '__metadata__') continue;
    const {
      dtype,
      shape,
      data_offsets: offsets,
    } = entry as {
      dtype: StoredTensor['dtype'];
      shape: number[];
      data_offsets: [number, number];
    };
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = data.subarray(offsets[0], offsets[1]);
    if (bytesPerValue[dtype] === undefined) throw new Error(`${path}: ${name} is of the unknown type ${dtype}`);
    if (bytes.length !== count * bytesPerValue[dtype]) throw new Error(`${path}: ${name} has a wrong length`);
    covered += bytes.length;
    tensors[name] = { dtype, shape, values: Float64Array.from({ length: count }, (_, i) => valueAt(bytes, dtype, i)) };
  }
  if (covered !== data.length) throw new Error(`${path}: tensors cover ${covered} of ${data.length} bytes`);
  return tensors;
}

function valueAt(bytes: Buffer, dtype: StoredTensor['dtype'], i: number): number {
  switch (dtype) {
    case 'F32':
      return bytes.readFloatLE(4 * i);
    case 'I32':
      return bytes.readInt32LE(4 * i);
    case 'F16':
      return valueOfBits('float16', bytes.readUInt16LE(2 * i));
    case 'BF16':
      return valueOfBits('bfloat16', bytes.readUInt16LE(2 * i));
  }
}
