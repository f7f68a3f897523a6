import { describe, sizeOf } from '../check.js';
import { type Device, setUp } from '../device.js';
import { SelectiveScanError } from '../errors.js';
import { type FloatArray, type HostView, newHostArray, rawView } from '../host-array.js';
import {
  awaitNative,
  type CancelFlag,
  callNative,
  type Native,
  type NativeArray,
  type NativeMemory,
} from '../native.js';
import { releaseAll, stage } from '../staging.js';
import { allocateTensor, memoryOf, Tensor } from '../tensor.js';
import type { Operands, Spec } from './operands.js';

/** A checked call of an op, ready to run on either side of a promise. */
export interface OpRun<Name extends string> {
  readonly device: Device;
  readonly operands: Operands<Name>;
  /** The order in which the native side takes the inputs, and after them the outputs; absent ones are undefined. */
  readonly inputs: readonly Name[];
  readonly outputs: readonly (Spec | undefined)[];
  readonly launch: (
    native: Native,
    isPromise: boolean,
    arrays: readonly NativeArray[],
    cancel: CancelFlag | undefined,
  ) => Promise<void> | undefined;
}

export type Output = Tensor | FloatArray | undefined;

/** Runs the op and returns its outputs: on a CPU complete, as tensors of a GPU enqueued. */
export function runSync<Name extends string>(run: OpRun<Name>): Output[] {
  const outputs = makeOutputs(run);
  try {
    const inputs = run.inputs.map((name) => nativeInput(run, name));
    callNative((native) => run.launch(native, false, [...inputs, ...outputs.map(nativeOutput)], undefined));
    return outputs;
  } catch (error) {
    disposeAll(outputs);
    throw error;
  }
}

/** Runs the op without blocking the event loop; resolves to its outputs when they are complete. */
export async function run<Name extends string>(run: OpRun<Name>, signal: AbortSignal | undefined): Promise<Output[]> {
  throwIfAborted(signal);
  const cancel = signal && callNative((native) => native.makeCancelFlag());
  const abort = () => cancel && callNative((native) => native.raiseCancelFlag(cancel));
  signal?.addEventListener('abort', abort, { once: true });
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
    // Tensors live on a device that is set up, so that calls on them enqueue at once, in the order they are written.
    const settingUp = run.operands.areTensors ? undefined : setUp(run.device);
    if (settingUp) await settingUp;
    outputs = makeOutputs(run);
    const inputs = run.inputs.map((name) => staged.get(name) ?? nativeInput(run, name));
    const arrays = [...inputs, ...outputs.map(nativeOutput)];
    await awaitNative((native) => run.launch(native, true, arrays, cancel) as Promise<void>);
    return outputs;
  } catch (error) {
    disposeAll(outputs);
    throw error;
  } finally {
    releaseAll(staged.values());
    signal?.removeEventListener('abort', abort);
  }
}

/** An option that is an AbortSignal or left out. */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  const { aborted, addEventListener } = Object(signal) as Partial<AbortSignal>;
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function') return signal as AbortSignal;
  throw new SelectiveScanError('ERR_OPTION', `Expected signal to be an AbortSignal but received ${describe(signal)}.`);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new SelectiveScanError('ERR_ABORTED', 'The operation was aborted.', { cause: signal.reason });
  }
}

function hostViews<Name extends string>({ operands, inputs }: OpRun<Name>): Map<Name, HostView> {
  const views = new Map<Name, HostView>();
  for (const name of inputs) {
    const view = operands.get(name)?.view;
    if (view) views.set(name, view);
  }
  return views;
}

function nativeInput<Name extends string>({ operands }: OpRun<Name>, name: Name): NativeArray {
  const operand = operands.get(name);
  return operand?.tensor ? memoryOf(operand.tensor, name) : operand?.view?.raw;
}

function nativeOutput(output: Output): NativeArray {
  if (output === undefined) return undefined;
  return output instanceof Tensor ? memoryOf(output) : rawView(output);
}

function makeOutputs<Name extends string>({ device, operands, outputs }: OpRun<Name>): Output[] {
  const made: Output[] = [];
  try {
    for (const spec of outputs) made.push(spec && makeOutput(spec, device, operands.areTensors));
    return made;
  } catch (error) {
    disposeAll(made);
    throw error;
  }
}

function makeOutput({ axes, dtype }: Spec, device: Device, isTensor: boolean): Output {
  if (!isTensor) return newHostArray(dtype, sizeOf(axes)) as FloatArray;
  return allocateTensor(
    device,
    axes.map(([, size]) => size),
    dtype,
  );
}

function disposeAll(outputs: readonly Output[]): void {
  for (const output of outputs) if (output instanceof Tensor) output.dispose();
}
