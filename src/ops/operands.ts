import { type Axis, describe, lengthError, shapeError, sizeOf } from '../check.js';
import { type Device, resolveDevice } from '../device.js';
import type { DType } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { type HostView, viewHostArray } from '../host-array.js';
import { deviceOf, isTensor, memoryOf, shareMemory, type Tensor } from '../tensor.js';

/** What an op expects of an array, or makes of a result. */
export interface Spec {
  readonly axes: readonly Axis[];
  readonly dtype: DType;
}

/** The array arguments of one call: all of them tensors of one device, or all of them typed arrays. */
export class Operands<Name extends string> {
  readonly names: readonly Name[];
  /** In the order of the names; what was not given is undefined. */
  readonly arrays: readonly (Tensor | HostView | undefined)[];
  /** The tensors' device; undefined for typed arrays. */
  readonly #home: Device | undefined;

  /**
   * Reads the named properties of a call's options, of which the first so many are required. The first says what all
   * have to be.
   */
  constructor(options: object, names: readonly Name[], required: number) {
    this.names = names;
    this.arrays = names.map((name, i) => {
      const value = (options as Readonly<Record<string, unknown>>)[name];
      return value === undefined && i >= required ? undefined : readOperand(name, value);
    });
    const first = this.arrays[0];
    this.#home = isTensor(first) ? deviceOf(first) : undefined;
    for (let i = 1; i < names.length; i++) {
      if (this.arrays[i] !== undefined) checkHome(names[i] as Name, this.arrays[i], names[0] as Name, this.#home);
    }
  }

  get areTensors(): boolean {
    return this.#home !== undefined;
  }

  /** The tensor of that name; undefined for a typed array and for what was not given. */
  tensor(name: Name): Tensor | undefined {
    return this.areTensors ? (this.#array(name) as Tensor | undefined) : undefined;
  }

  /** The typed array of that name; undefined for a tensor and for what was not given. */
  view(name: Name): HostView | undefined {
    return this.areTensors ? undefined : (this.#array(name) as HostView | undefined);
  }

  /** The dims of a tensor; undefined for a typed array and for what was not given. */
  dims(name: Name): readonly number[] | undefined {
    return this.tensor(name)?.dims;
  }

  /** The dtype of an array that was given. */
  dtype(name: Name): DType {
    const tensor = this.tensor(name);
    return tensor ? tensor.dtype : dtypeOfView(name, this.view(name) as HostView);
  }

  /** The dtype of an array that was given and has to be of a real floating point one. */
  floatDType(name: Name): DType {
    const dtype = this.dtype(name);
    if (dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16') return dtype;
    throw new SelectiveScanError(
      'ERR_DTYPE',
      `Expected ${name} to have dtype float32, float16 or bfloat16 but received ${dtype}.`,
    );
  }

  /** The dims of a tensor that was given and has to have the axes named, or one of several sets of them. */
  dimsOfRank(name: Name, ...sets: readonly (readonly string[])[]): readonly number[] {
    const dims = this.dims(name) as readonly number[];
    if (sets.some((axes) => axes.length === dims.length)) return dims;
    const expected = sets.map((axes) => `the ${axes.length} axes [${axes.join(', ')}]`).join(' or ');
    throw new SelectiveScanError(
      'ERR_SHAPE',
      `Expected ${name} to have ${expected} but received shape [${dims.join(', ')}].`,
    );
  }

  /** Throws unless the array, if given, is of the spec's dtype and shape; typed arrays have a length for a shape. */
  check(name: Name, spec: Spec): void {
    const operand = this.#array(name);
    if (operand === undefined) return;
    if (this.#home) checkTensor(name, operand as Tensor, spec);
    else checkView(name, operand as HostView, spec);
  }

  /** Throws if a tensor that is updated in place is another operand too. */
  refuseAliasesOf(name: Name): void {
    const own = this.tensor(name);
    const isAlias = (other: unknown) => isTensor(other) && own !== undefined && shareMemory(other, own);
    const alias = this.arrays.findIndex((array, i) => this.names[i] !== name && isAlias(array));
    if (alias < 0) return;
    throw new SelectiveScanError(
      'ERR_OPTION',
      `Expected ${this.names[alias]} to be another tensor than ${name}, which is updated in place, but received the same.`,
    );
  }

  /** Where the call runs: the tensors' device, which the option may only confirm, or the one the option names. */
  device(option: unknown): Device {
    const home = this.#home;
    if (home === undefined) return resolveDevice(option);
    const own: Device = home.queue === home.index ? home : { ...home, queue: home.index };
    if (option === undefined || option === 'auto') return own;
    const named = resolveDevice(option);
    if (named.index === home.index) return own;
    throw new SelectiveScanError(
      'ERR_DEVICE',
      `Expected device to be ${home.name}, where the tensors are, but received '${named.name}'.`,
    );
  }

  #array(name: Name): Tensor | HostView | undefined {
    return this.arrays[this.names.indexOf(name)];
  }
}

/** Throws unless the first operand of an op that takes tensors only is one; then all have to be. `why` is set off by commas. */
export function requireTensor(name: string, value: unknown, why = ''): asserts value is Tensor {
  if (isTensor(value)) return;
  const received = ArrayBuffer.isView(value) ? 'a typed array' : describe(value);
  throw new SelectiveScanError('ERR_DTYPE', `Expected ${name} to be a Tensor${why} but received ${received}.`);
}

function readOperand(name: string, value: unknown): Tensor | HostView {
  if (isTensor(value)) {
    memoryOf(value, name);
    return value;
  }
  const view = viewHostArray(value);
  if (view !== undefined) return view;
  const received = value === undefined ? 'it is missing' : `received ${describe(value)}`;
  throw new SelectiveScanError('ERR_DTYPE', `Expected ${name} to be a typed array or a Tensor but ${received}.`);
}

function dtypeOfView(name: string, { kind }: HostView): DType {
  if (kind === 'Float32Array') return 'float32';
  if (kind === 'Float16Array') return 'float16';
  if (kind === 'Int32Array') return 'int32';
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected ${name} to be a Float32Array, a Float16Array or a Tensor but received a Uint16Array: its bits are float16 or bfloat16 only inside a Tensor, whose dtype says which.`,
  );
}

function checkDType(name: string, expected: DType, found: DType): void {
  if (found === expected) return;
  throw new SelectiveScanError('ERR_DTYPE', `Expected ${name} to have dtype ${expected} but received ${found}.`);
}

function checkTensor(name: string, tensor: Tensor, { axes, dtype }: Spec): void {
  checkDType(name, dtype, tensor.dtype);
  if (!hasSizes(tensor.dims, axes)) throw shapeError(name, axes, tensor.dims);
}

function hasSizes(dims: readonly number[], axes: readonly Axis[]): boolean {
  if (dims.length !== axes.length) return false;
  for (let i = 0; i < dims.length; i++) {
    if (dims[i] !== (axes[i] as Axis)[1]) return false;
  }
  return true;
}

/** Throws unless a typed array is of the spec's dtype and length; of complex numbers it is a Float32Array of pairs. */
export function checkView(name: string, view: HostView, { axes, dtype }: Spec): void {
  const isComplex = dtype === 'complex64';
  checkDType(name, isComplex ? 'float32' : dtype, dtypeOfView(name, view));
  const counted: readonly Axis[] = isComplex ? [...axes, ['2', 2]] : axes;
  if (view.length !== sizeOf(counted)) throw lengthError(name, counted, view.length);
}

function checkHome(name: string, operand: unknown, leader: string, home: Device | undefined): void {
  const device = isTensor(operand) ? deviceOf(operand) : undefined;
  if (device === home) return;
  if (device === undefined || home === undefined) {
    const [expected, received] = home ? ['a Tensor', 'a typed array'] : ['a typed array', 'a Tensor'];
    throw new SelectiveScanError(
      'ERR_DEVICE',
      `Expected ${name} to be ${expected}, as ${leader} is, but received ${received}.`,
    );
  }
  if (device.index !== home.index) {
    throw new SelectiveScanError(
      'ERR_DEVICE',
      `Expected ${name} to be on ${home.name}, as ${leader} is, but received a tensor on ${device.name}.`,
    );
  }
}
