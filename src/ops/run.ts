import { describe, guarded, sizeOf } from '../check.js';
import { type Device, readyDevice } from '../device.js';
import { SelectiveScanError } from '../errors.js';
import { type FloatArray, type HostView, newFloatArray, rawView } from '../host-array.js';
import {
  awaitNative,
  type CancelFlag,
  callNative,
  type Native,
  type NativeArray,
  type NativeMemory,
} from '../native.js';
import { releaseAll, stage } from '../staging.js';
import { allocateTensor, isTensor, memoryOf, type Tensor } from '../tensor.js';
import type { Operands, Spec } from './operands.js';

/** A checked call of an op, ready to run on either side of a promise. */
export interface OpRun<Name extends string> {
  readonly operands: Operands<Name>;
  /** The caller's `device`, as it came. */
  readonly device: unknown;
  /** The native side takes the operands in their order, and after them the outputs; absent ones are undefined. */
  readonly outputs: readonly (Spec | undefined)[];
  readonly launch: (
    native: Native,
    device: number,
    isPromise: boolean,
    arrays: readonly NativeArray[],
    cancel: CancelFlag | undefined,
  ) => Promise<void> | undefined;
}

export type Output = Tensor | FloatArray | undefined;

/** An op's outputs and the name of the device that it ran on. */
export interface OpResult {
  readonly outputs: Output[];
  readonly device: string;
}

/** Runs the op and returns its outputs: on a CPU complete, as tensors of a GPU enqueued. */
export function runSync<Name extends string>(run: OpRun<Name>): OpResult {
  const device = run.operands.device(run.device);
  const outputs = makeOutputs(run, device);
  try {
    const arrays = nativeArrays(run, outputs);
    callNative((native) => run.launch(native, device.index, false, arrays, undefined));
    return { outputs, device: device.name };
  } catch (error) {
    disposeAll(outputs);
    throw error;
  }
}

/** Runs the op without blocking the event loop; resolves to its outputs when they are complete. */
export async function run<Name extends string>(run: OpRun<Name>, signal: AbortSignal | undefined): Promise<OpResult> {
  throwIfAborted(signal);
  const cancel = signal && callNative((native) => native.makeCancelFlag());
  const abort = () => cancel && callNative((native) => native.raiseCancelFlag(cancel));
  if (signal) askSignal(() => signal.addEventListener('abort', abort, { once: true }));
  let staged: ReadonlyMap<Name, NativeMemory> = new Map();
  let outputs: Output[] = [];
  try {
    if (!run.operands.areTensors) {
      staged = await stage(
        hostViews(run),
        (name) => name,
        () => throwIfAborted(signal),
      );
    }
    // Tensors live on a device that is ready, so that calls on them enqueue at once, in the order they are written.
    const ready = run.operands.areTensors ? run.operands.device(run.device) : readyDevice(run.device);
    const device = ready instanceof Promise ? await ready : ready;
    throwIfAborted(signal);
    outputs = makeOutputs(run, device);
    const arrays = nativeArrays(run, outputs, staged);
    await awaitNative((native) => run.launch(native, device.index, true, arrays, cancel) as Promise<void>);
    return { outputs, device: device.name };
  } catch (error) {
    disposeAll(outputs);
    throw error;
  } finally {
    releaseAll(staged.values());
    if (signal) askSignal(() => signal.removeEventListener('abort', abort));
  }
}

/** An option that is an AbortSignal or left out. */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  const isSignal = askSignal(() => {
    const { aborted, addEventListener, removeEventListener } = Object(signal) as Partial<AbortSignal>;
    const listens = typeof addEventListener === 'function' && typeof removeEventListener === 'function';
    return typeof aborted === 'boolean' && listens;
  });
  if (isSignal) return signal as AbortSignal;
  throw new SelectiveScanError('ERR_OPTION', `Expected signal to be an AbortSignal but received ${describe(signal)}.`);
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal || !askSignal(() => signal.aborted)) return;
  const cause = askSignal(() => signal.reason);
  throw new SelectiveScanError('ERR_ABORTED', 'The operation was aborted.', { cause });
}

/** A signal may be an object of the caller's own making, which throws what it likes. */
function askSignal<T>(ask: () => T): T {
  return guarded('signal', 'ERR_OPTION', ask);
}

function hostViews<Name extends string>({ operands }: OpRun<Name>): Map<Name, HostView> {
  const views = new Map<Name, HostView>();
  for (const name of operands.names) {
    const view = operands.view(name);
    if (view) views.set(name, view);
  }
  return views;
}

/** All arrays of a call in the native side's order; of those that are staged, the copies. */
function nativeArrays<Name extends string>(
  { operands }: OpRun<Name>,
  outputs: readonly Output[],
  staged?: ReadonlyMap<Name, NativeMemory>,
): NativeArray[] {
  const inputs = operands.arrays.map((array, i) => {
    const name = operands.names[i] as Name;
    return isTensor(array) ? memoryOf(array, name) : (staged?.get(name) ?? array?.raw);
  });
  return [...inputs, ...outputs.map(nativeOutput)];
}

function nativeOutput(output: Output): NativeArray {
  if (output === undefined) return undefined;
  return isTensor(output) ? memoryOf(output) : rawView(output);
}

function makeOutputs<Name extends string>({ operands, outputs }: OpRun<Name>, device: Device): Output[] {
  const made: Output[] = [];
  try {
    for (const spec of outputs) made.push(spec && makeOutput(spec, device, operands.areTensors));
    return made;
  } catch (error) {
    disposeAll(made);
    throw error;
  }
}

function makeOutput({ axes, dtype }: Spec, device: Device, asTensor: boolean): Output {
  if (!asTensor) return newFloatArray(dtype, sizeOf(axes));
  return allocateTensor(
    device,
    axes.map((axis) => axis[1]),
    dtype,
  );
}

function disposeAll(outputs: readonly Output[]): void {
  for (const output of outputs) if (isTensor(output)) output.dispose();
}
