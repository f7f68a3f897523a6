import { refuseElsewhere, refuseInCapture } from '../capturing.js';
import { sizeOf } from '../check.js';
import { type Device, readyDevice } from '../device.js';
import { bytesOf } from '../dtype.js';
import { type FloatArray, type HostView, newFloatArray, rawView } from '../host-array.js';
import {
  awaitNative,
  type CallControl,
  callNative,
  type Native,
  type NativeArray,
  type NativeMemory,
} from '../native.js';
import { onAbort, throwIfAborted } from '../signal.js';
import { bytesAtCall, releaseAll, stage } from '../staging.js';
import { checkStreamDevice } from '../stream.js';
import { allocateTensor, isTensor, memoryOf, type Tensor } from '../tensor.js';
import { feedUntilSettled } from './feed.js';
import type { Operands, Spec } from './operands.js';
import { requireKept, requirePinned } from './out-array.js';
import { type OnProgress, reportUntilSettled } from './progress.js';

/** A checked call of an op, ready to run on either side of a promise. */
export interface OpRun<Name extends string> {
  readonly operands: Operands<Name>;
  /** The caller's `device`, as it came. */
  readonly device: unknown;
  /** The caller's `stream`. */
  readonly stream: Device | undefined;
  /** The native side takes the operands in their order, and after them the outputs; absent ones are undefined. */
  readonly outputs: readonly (Spec | undefined)[];
  /** The caller's own array for the first output, if any. Calls on typed arrays only. */
  readonly out?: FloatArray | undefined;
  readonly launch: (
    native: Native,
    queue: number,
    isPromise: boolean,
    arrays: readonly NativeArray[],
    control: CallControl | undefined,
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
  const device = placeOf(run);
  if (!run.operands.areTensors) refuseInCapture('typed arrays');
  refuseElsewhere(device.queue);
  const outputs = makeOutputs(run, device);
  try {
    const arrays = nativeArrays(run, outputs);
    callNative((native) => run.launch(native, device.queue, false, arrays, undefined));
    return { outputs, device: device.name };
  } catch (error) {
    disposeAll(outputs);
    throw error;
  }
}

/** Runs the op without blocking the event loop; resolves to its outputs when they are complete. */
export async function run<Name extends string>(
  run: OpRun<Name>,
  signal?: AbortSignal,
  onProgress?: OnProgress,
): Promise<OpResult> {
  refuseInCapture('a promise form');
  throwIfAborted(signal);
  const { operands, out } = run;
  if (out) requirePinned(out);
  const hasControl = signal !== undefined || onProgress !== undefined || !operands.areTensors;
  const control = hasControl ? callNative((native) => native.makeCallControl()) : undefined;
  const stopListening = onAbort(signal, () => control && callNative((native) => native.abortCall(control)));
  let staged: ReadonlyMap<Name, NativeMemory> = new Map();
  let outputs: Output[] = [];
  try {
    const views = hostViews(run);
    const inputBytes = bytesOfViews(views);
    const isSmall = inputBytes <= bytesAtCall;
    // What a launch on a GPU reads before it returns, see native/runtime/host_call.h.
    const isReadAtLaunch = inputBytes + bytesOfOutputs(run) <= bytesAtCall;
    const stageViews = () =>
      stage(
        views,
        (name) => name,
        () => throwIfAborted(signal),
      );
    // Tensors live on a device that is ready, so that calls on them enqueue at once, in the order they are written.
    const isReady = operands.areTensors || run.stream !== undefined;
    const ready = isReady ? placeOf(run) : readyDevice(run.device);
    if (views.size > 0 && isSmall && (ready instanceof Promise || !isReadAtLaunch)) staged = await stageViews();
    const device = ready instanceof Promise ? await ready : ready;
    if (device.index < 0 && views.size > staged.size) staged = await stageViews();
    throwIfAborted(signal);
    outputs = makeOutputs(run, device);
    const arrays = nativeArrays(run, outputs, staged);
    const launched = awaitNative((native) => run.launch(native, device.queue, true, arrays, control) as Promise<void>);
    const done = control && !isSmall && device.index >= 0 ? feedUntilSettled(launched, control, arrays) : launched;
    await (control && onProgress ? reportUntilSettled(done, control, totalOf(run), onProgress) : done);
    if (out) requireKept(out, totalOf(run));
    return { outputs, device: device.name };
  } catch (error) {
    disposeAll(outputs);
    throw error;
  } finally {
    releaseAll(staged.values());
    stopListening();
  }
}

/** Where a call runs: in the stream that it names, or in its device's own queue. */
function placeOf<Name extends string>({ operands, device, stream }: OpRun<Name>): Device {
  if (stream === undefined) return operands.device(device);
  const isNamed = device !== undefined && device !== 'auto';
  if (isNamed || operands.areTensors) checkStreamDevice(stream, operands.device(device));
  return stream;
}

/** Elements of the op's main output. */
function totalOf<Name extends string>({ outputs }: OpRun<Name>): number {
  return sizeOf((outputs[0] as Spec).axes);
}

function bytesOfOutputs<Name extends string>({ outputs }: OpRun<Name>): number {
  return outputs.reduce((bytes, spec) => bytes + (spec ? sizeOf(spec.axes) * bytesOf[spec.dtype] : 0), 0);
}

function bytesOfViews(views: ReadonlyMap<unknown, HostView>): number {
  let bytes = 0;
  for (const { raw } of views.values()) bytes += raw.byteLength;
  return bytes;
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

function makeOutputs<Name extends string>({ operands, outputs, out }: OpRun<Name>, device: Device): Output[] {
  const made: Output[] = out ? [out] : [];
  try {
    for (const spec of outputs.slice(made.length)) made.push(spec && makeOutput(spec, device, operands.areTensors));
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
