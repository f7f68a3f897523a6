// From a caller's typed array and dims to a tensor's bytes, and back to values.
import { type Axis, checkSize, describe, guarded, lengthError, sizeOf } from './check.js';
import { bytesOf, type DType, fromBFloat16, fromFloat16, isDType, toBFloat16, toFloat16 } from './dtype.js';
import { SelectiveScanError } from './errors.js';
import { type HostView, type RawView, viewHostArray } from './host-array.js';

/** What a typed array may be read as; the first is meant where no dtype is given. */
const dtypesOf: Readonly<Record<HostView['kind'], readonly DType[]>> = {
  Float32Array: ['float32', 'float16', 'bfloat16', 'complex64'],
  Float16Array: ['float16'],
  Uint16Array: ['float16', 'bfloat16'],
  Int32Array: ['int32'],
};

/** A typed array that holds one of our dtypes, as it is now. */
export function readData(data: unknown): HostView {
  const view = viewHostArray(data);
  if (view !== undefined) return view;
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected data to be a Float32Array, Float16Array, Uint16Array or Int32Array but received ${describe(data)}.`,
  );
}

/** The bytes of a tensor of that shape and dtype. */
export function rawData(view: HostView, shape: readonly number[], dtype: DType): RawView {
  const axes: Axis[] = shape.map((size, i) => [`dims[${i}]`, size]);
  if (dtype === 'complex64') axes.push(['2', 2]);
  if (sizeOf(axes) !== view.length) throw lengthError('data', axes, view.length);
  return view.kind === 'Float32Array' && bytesOf[dtype] === 2 ? rounded(view, dtype) : view.raw;
}

/** The dtype that an array is to be read as; by default its own. */
export function checkDType(kind: HostView['kind'], dtype: unknown): DType {
  const allowed = dtypesOf[kind];
  if (dtype === undefined && kind !== 'Uint16Array') return allowed[0] as DType;
  if (isDType(dtype) && allowed.includes(dtype)) return dtype;
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected dtype of a ${kind} to be ${allowed.join(' or ')} but received ${describe(dtype)}.`,
  );
}

/** Sizes copied one by one, since an array's iterator is whatever the caller made it. */
export function checkDims(dims: unknown): number[] {
  return guarded('dims', 'ERR_SHAPE', () => {
    if (!Array.isArray(dims)) {
      throw new SelectiveScanError(
        'ERR_SHAPE',
        `Expected dims to be an array of sizes but received ${describe(dims)}.`,
      );
    }
    const sizes: number[] = [];
    for (let i = 0; i < dims.length; i++) sizes.push(checkSize(`dims[${i}]`, dims[i], 0));
    return sizes;
  });
}

function rounded({ raw, length }: HostView, dtype: DType): Uint16Array {
  const values = new Float32Array(raw.buffer, raw.byteOffset, length);
  const bits = new Uint16Array(length);
  const round = dtype === 'bfloat16' ? toBFloat16 : toFloat16;
  for (let i = 0; i < length; i++) bits[i] = round(values[i] as number);
  return bits;
}

/** Elements `start` to `end` of 16-bit floats as float32, exactly. */
export function widen(bits: Uint16Array, values: Float32Array, dtype: DType, start: number, end: number): void {
  const value = dtype === 'bfloat16' ? fromBFloat16 : fromFloat16;
  for (let i = start; i < end; i++) values[i] = value(bits[i] as number);
}
