import { Tensor } from 'selective-scan';
import { choose, type Effect, type Fault, harmless, isTensor, nonsense, put } from './fuzz-draft';

/** The typed arrays that tests make. */
export type Numbers = Float32Array | Int32Array | Uint16Array;

type Maker = new (...given: any[]) => Numbers;

/** Whether a value is a typed array whose properties say what it is. */
export function isNumbers(value: unknown): value is Numbers {
  return ArrayBuffer.isView(value) && (value as Partial<Numbers>).buffer?.byteLength !== undefined && 'fill' in value;
}

/** The same elements over another buffer, which has so many bytes more before them. */
export function movedTo(
  buffer: ArrayBufferLike,
  array: Numbers,
  offset = 0,
  length: number | undefined = array.length,
) {
  const moved = new (array.constructor as Maker)(buffer, offset, length);
  moved.set(array);
  return moved;
}

export function shared(array: Numbers, spare = 0): Numbers {
  return movedTo(new SharedArrayBuffer(array.byteLength + 8 * spare), array, 4 * spare);
}

/** A view whose length follows a buffer that can grow and shrink. */
export function resizable(array: Numbers): Numbers {
  const Buffer = ArrayBuffer as any;
  const buffer = new Buffer(array.byteLength, { maxByteLength: array.byteLength + 64 });
  const moved = new (array.constructor as Maker)(buffer);
  moved.set(array);
  return moved;
}

/** Takes an array's memory away, or its last byte and more; tells whether there was any that can be taken. */
export function takeMemory(array: unknown, n = 0): boolean {
  if (!isNumbers(array) || array.length === 0 || array.buffer instanceof SharedArrayBuffer) return false;
  const buffer = array.buffer as any;
  if (buffer.resizable && n % 2 === 1) buffer.resize(buffer.byteLength >> 1);
  else structuredClone(buffer, { transfer: [buffer] });
  return true;
}

/** A view of a shared or larger or growing buffer, or one whose own properties lie, is as good as any other. */
export function disguised(array: Numbers, n: number): Numbers {
  switch (n % 5) {
    case 0:
      return shared(array, n % 3);
    case 1:
      return resizable(array);
    case 2:
      return movedTo(new ArrayBuffer(array.byteLength + 24), array, 12);
    case 3:
      return Object.defineProperties(array.slice(), {
        ...{ length: { value: n }, byteLength: { value: 2 ** 40 }, byteOffset: { value: -4 }, buffer: { value: null } },
        ...{ constructor: { value: null }, [Symbol.toStringTag]: { value: 'Float64Array' } },
      }) as Numbers;
    default:
      return Object.setPrototypeOf(array.slice(), null) as Numbers;
  }
}

/** What looks like an array of numbers and is none that the package takes. */
export function impostor(array: Numbers, n: number): unknown {
  const length = array.length;
  return choose(
    [
      new Proxy(array, {}),
      Array.from(array),
      new Float64Array(length),
      new Uint8Array(array.byteLength),
      new BigInt64Array(length),
      new ArrayBuffer(array.byteLength),
      new DataView(new ArrayBuffer(array.byteLength)),
      { ...array, length },
      Object.create(Float32Array.prototype),
      ...nonsense,
    ],
    n,
  );
}

const order = ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState', 'state'];

/** A length that is wrong by an amount of the operand's own, so that no two such faults make up a right call. */
export function surplus(name: string): number {
  return 1 + order.indexOf(name);
}

function tensorLike(tensor: Tensor, dims: readonly number[], dtype = tensor.dtype): Tensor {
  const length = dims.reduce((product, size) => product * size, dtype === 'complex64' ? 2 : 1);
  const host = Tensor.from(dtype === 'int32' ? new Int32Array(length) : new Float32Array(length), dims, dtype);
  return tensor.device === 'cpu' ? host : host.toSync(tensor.device);
}

function longer(dims: readonly number[], by: number): number[] {
  return [...dims.slice(0, -1), (dims.at(-1) as number) + by];
}

const operandFaults: Record<string, (array: Numbers, name: string, n: number) => [unknown, Effect]> = {
  disguise: (array, _name, n) => [disguised(array, n), harmless],
  impostor: (array, _name, n) => [impostor(array, n), ['ERR_DTYPE']],
  length: (array, name, n) => {
    const length = array.length >= surplus(name) && n % 2 === 1 ? -surplus(name) : surplus(name);
    return [new (array.constructor as Maker)(array.length + length), ['ERR_SHAPE']];
  },
  dtype: (array, _name, n) => [
    n % 2 === 1 ? new Int32Array(array.length) : new Uint16Array(array.length),
    ['ERR_DTYPE'],
  ],
  lifetime: (array, _name, n) => {
    const victim = resizable(array);
    return [victim, takeMemory(victim, n) ? ['ERR_SHAPE'] : harmless];
  },
  kind: (_array, _name, n) => [Tensor.from(new Float32Array(n % 3), [n % 3]), ['ERR_DEVICE']],
};

const tensorFaults: Record<string, (tensor: Tensor, name: string, n: number) => [unknown, Effect]> = {
  disguise: (tensor) => [Object.freeze(tensor), harmless],
  impostor: (tensor, _name, n) => [
    choose([new Proxy(tensor, {}), Object.create(tensor), { ...tensor }, ...nonsense], n),
    ['ERR_DTYPE'],
  ],
  length: (tensor, name, n) => {
    // One more axis could be the groups of B and C.
    const dims = n % 2 === 1 && name !== 'B' && name !== 'C' ? [...tensor.dims, 1] : longer(tensor.dims, surplus(name));
    return [tensorLike(tensor, dims), ['ERR_SHAPE']];
  },
  dtype: (tensor, name, n) => {
    // State and u may be of any float dtype.
    const isAnyFloat = name === 'u' || name === 'state';
    const another = tensor.dtype === 'float16' ? 'bfloat16' : 'float16';
    return [tensorLike(tensor, tensor.dims, n % 2 === 1 && !isAnyFloat ? another : 'int32'), ['ERR_DTYPE']];
  },
  lifetime: (tensor) => {
    tensor.dispose();
    return [tensor, ['ERR_DISPOSED']];
  },
  kind: (tensor, name) => [new Float32Array(tensor.size), name === 'state' ? ['ERR_DTYPE'] : ['ERR_DEVICE']],
};

/** What can be wrong with an operand of a call, by name: the same names for typed arrays and tensors. */
export const faultsOfOperands: Record<string, Fault> = Object.fromEntries(
  Object.keys(operandFaults).map((name): [string, Fault] => [
    name,
    (draft, target, n) => {
      const operand = draft.operands[target];
      if (operand === undefined) return harmless;
      const [value, effect] = isTensor(operand)
        ? (tensorFaults[name] as (typeof tensorFaults)[string])(operand, target, n)
        : (operandFaults[name] as (typeof operandFaults)[string])(operand as Numbers, target, n);
      if (isTensor(value)) draft.tensors.push(value);
      put(draft, target, value);
      return effect;
    },
  ]),
);
