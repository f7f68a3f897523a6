import { join } from 'node:path';
import { type ErrorCode, SelectiveScanError } from './errors.js';
import type { RawView } from './host-array.js';

/** The number of a piece of memory on one device. Whoever is given it releases it. */
export type NativeMemory = number & { readonly __brand: 'NativeMemory' };

/** By which one submitted call is aborted, asked how far it is, and given its arrays to read. */
export type CallControl = { readonly __brand: 'CallControl' };

/** A point in a queue. */
export type NativeEvent = { readonly __brand: 'NativeEvent' };

/** Calls that were recorded. */
export type NativeGraph = { readonly __brand: 'NativeGraph' };

/** An array of an op's call: native memory, or a typed array that nobody else writes during the call. */
export type NativeArray = NativeMemory | RawView | undefined;

export interface NativeDevices {
  readonly cpu: { device: 'cpu'; name: string; vectorSet: 'avx512' | 'avx2' | 'neon' | 'portable'; threads: number };
  readonly gpus: readonly {
    device: `cuda:${number}`;
    name: string;
    memory: number;
    computeCapability: string;
    driver: string;
  }[];
  readonly noGpu: string;
}

/**
 * What native/binding exports. Devices are numbers here: -1 is the CPU, N is cuda:N. So are queues: a device's own has the
 * device's number.
 */
/** An op: where it runs and in which form, what it is told besides, and its arrays. A promise only of the promise form. */
type NativeOp<Told extends unknown[]> = (
  queue: number,
  isPromise: boolean,
  ...rest: [...Told, control: CallControl | undefined, ...arrays: readonly NativeArray[]]
) => Promise<void> | undefined;

export interface Native {
  devices(): NativeDevices;
  find(): Promise<void>;
  open(device: number): Promise<void>;
  finish(queue: number): Promise<void>;
  finishSync(queue: number): void;
  memoryUse(device: number, into: Float64Array): void;
  hasCublasLt(device: number): boolean;
  emptyCache(device: number): Promise<void>;
  measureRoofs(device: number, into: Float64Array): Promise<void>;

  allocate(queue: number, bytes: number): NativeMemory;
  share(memory: NativeMemory): NativeMemory;
  release(memory: NativeMemory): void;
  write(memory: NativeMemory, offset: number, source: RawView): void;
  read(memory: NativeMemory, into: RawView, queue: number | undefined): Promise<void>;
  readSync(memory: NativeMemory, into: RawView, queue: number | undefined): void;
  copy(source: NativeMemory, target: NativeMemory, queue: number | undefined): Promise<void>;
  copySync(source: NativeMemory, target: NativeMemory, queue: number | undefined): void;
  view(memory: NativeMemory): ArrayBuffer;

  openStream(device: number): number;
  closeStream(stream: number): void;
  recordEvent(queue: number): NativeEvent;
  waitForEvent(queue: number, event: NativeEvent): void;
  beginCapture(queue: number): void;
  endCapture(): NativeGraph;
  dropCapture(): void;
  replay(graph: NativeGraph): void;
  runGraph(graph: NativeGraph): Promise<void>;
  releaseGraph(graph: NativeGraph): void;

  allocatePinned(bytes: number): ArrayBuffer;
  isPinned(array: RawView): boolean;
  overlap(a: RawView, b: RawView): boolean;

  makeCallControl(sliceBytes?: number): CallControl;
  abortCall(control: CallControl): void;
  progressOf(control: CallControl): { done: number; slices: number };
  /** Reads a part of a submitted call's arrays: 0 when it need not be called again, 2 when the call has not begun. */
  feedCall(control: CallControl, ...arrays: readonly NativeArray[]): 0 | 1 | 2;

  causalConv1d: NativeOp<[sizes: Float64Array, cuSeqlens: RawView | undefined]>;
  causalConv1dUpdate: NativeOp<[sizes: Float64Array, slots: RawView | undefined]>;
  mambaLayerStep: NativeOp<
    [sizes: Float64Array, eps: number, mixerNormEps: number | undefined, slots: RawView | undefined]
  >;
  embedding: NativeOp<[sizes: Float64Array, ids: RawView | undefined]>;
  selectiveScan: NativeOp<[sizes: Float64Array, cuSeqlens: RawView | undefined]>;
  selectiveStateUpdate: NativeOp<[sizes: Float64Array, slots: RawView | undefined]>;
  linear: NativeOp<[sizes: Float64Array]>;
  rmsNorm: NativeOp<[sizes: Float64Array, numbers: Float64Array]>;
  sample: NativeOp<[sizes: Float64Array, numbers: Float64Array]>;
  softmax: NativeOp<[sizes: Float64Array]>;

  describeScan(device: number, sizes: Float64Array, cuSeqlens: RawView | undefined, hasZ: boolean): string;
}

const nodeGypBuild = require('node-gyp-build') as (folder: string) => unknown;

let loaded: Native | undefined;

/** The native module, loaded at the first call that needs it so that importing the package never fails. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  try {
    return nodeGypBuild(join(__dirname, '..')) as Native;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new SelectiveScanError(
      'ERR_BACKEND_LOAD',
      `Expected a native binding for ${process.platform}-${process.arch} but found none (${reason}). Build it with \`npx selective-scan-build\`.`,
      { cause },
    );
  }
}

const nativeCodes: ReadonlySet<unknown> = new Set<ErrorCode>([
  'ERR_SHAPE',
  'ERR_DEVICE',
  'ERR_UNSUPPORTED',
  'ERR_OUT_OF_MEMORY',
  'ERR_DEVICE_LOST',
  'ERR_ABORTED',
]);

/** A native error with one of our codes as a SelectiveScanError; anything else as it is. */
export function translate(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return nativeCodes.has(code) && !(error instanceof SelectiveScanError)
    ? new SelectiveScanError(code as ErrorCode, String(message))
    : error;
}

/** Calls into the native module, so that its errors come out as SelectiveScanErrors. */
export function callNative<T>(call: (module: Native) => T): T {
  const module = native();
  try {
    return call(module);
  } catch (error) {
    throw translate(error);
  }
}

/** The same for calls that return a promise. */
export async function awaitNative<T>(call: (module: Native) => Promise<T>): Promise<T> {
  const module = native();
  try {
    return await call(module);
  } catch (error) {
    throw translate(error);
  }
}
