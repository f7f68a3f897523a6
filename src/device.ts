import { refuseInCapture } from './capturing.js';
import { SelectiveScanError } from './errors.js';
import { awaitNative, callNative, type NativeDevices } from './native.js';
import { readSignal, untilAborted, type WaitOptions } from './signal.js';

/**
 * The CPU: its vector code, chosen at run time, and the threads an op may use. Where there is no GPU, `noGpu` says why: no
 * driver, a driver too old, none that it finds or shows, or a build without CUDA.
 */
export type CpuDevice = NativeDevices['cpu'] & { noGpu?: string };

/** A GPU: memory in bytes, compute capability and the CUDA version of its driver, as in '9.0' and '13.0'. */
export type CudaDevice = NativeDevices['gpus'][number];

/** Measured ceilings of a device, in units a second. */
export interface Roofs {
  /** Device-to-device copy, bytes read plus bytes written. */
  readonly bytesPerSecond: number;
  /** Base-2 exponentials of float32 on the special-function units. */
  readonly exponentialsPerSecond: number;
}

/** A device by its name ('cpu', 'cuda:0') and by the native side's number, and one of its queues. */
export interface Device {
  readonly name: string;
  readonly index: number;
  /** By the native side's number; the index, if it is the device's own. */
  readonly queue: number;
}

const cpu: Device = { name: 'cpu', index: -1, queue: -1 };

let found: NativeDevices | undefined;

function find(): NativeDevices {
  found ??= callNative((native) => native.devices());
  return found;
}

/** The devices of this machine, the CPU first. */
export function devices(): (CpuDevice | CudaDevice)[] {
  const { cpu, gpus, noGpu } = find();
  return [{ ...cpu, ...(gpus.length === 0 && { noGpu }) }, ...gpus.map((gpu) => ({ ...gpu }))];
}

/**
 * The device that a name means: 'cpu', 'cuda' (the first GPU), 'cuda:N', or 'auto': the first GPU if there is one, else
 * the CPU. Undefined means the environment variable SELECTIVE_SCAN_DEVICE, else 'auto'.
 * Throws ERR_DEVICE for anything else and for a GPU that is not there.
 */
export function resolveDevice(name: unknown): Device {
  if (name === 'cpu') return cpu;
  const device = namedDevice(name);
  if (device.index < 0) return device;
  const { gpus, noGpu } = find();
  if (device.index < gpus.length) return device;
  const [given, source] = preset(name);
  const reason = gpus.length > 0 ? `this machine has ${gpus.map((gpu) => gpu.device).join(', ')}.` : noGpu;
  throw new SelectiveScanError('ERR_DEVICE', `Expected ${source} '${given}' to be a GPU of this machine: ${reason}`);
}

/** The name given, or in its place the environment's or 'auto', and what to call it in an error. */
function preset(name: unknown): [name: unknown, source: string] {
  if (name !== undefined) return [name, 'device'];
  const { SELECTIVE_SCAN_DEVICE } = process.env;
  return SELECTIVE_SCAN_DEVICE ? [SELECTIVE_SCAN_DEVICE, 'SELECTIVE_SCAN_DEVICE'] : ['auto', 'device'];
}

/** The same as resolveDevice, but a GPU that is named need not be there. */
export function namedDevice(given: unknown): Device {
  const [name, source] = preset(given);
  if (name === 'cpu') return cpu;
  if (name === 'auto') return find().gpus.length > 0 ? { name: 'cuda:0', index: 0, queue: 0 } : cpu;
  const match = typeof name === 'string' ? /^cuda(?::(0|[1-9]\d{0,4}))?$/.exec(name) : null;
  if (match === null) {
    throw new SelectiveScanError(
      'ERR_DEVICE',
      `Expected ${source} to be 'auto', 'cpu', 'cuda' or 'cuda:N' but received ${quote(name)}.`,
    );
  }
  const index = Number(match[1] ?? 0);
  return { name: `cuda:${index}`, index, queue: index };
}

const open = new Set<number>([cpu.index]);

/**
 * The same as resolveDevice, and the device is set up, without blocking the event loop: a GPU's first use in a process
 * takes its driver a good part of a second. A promise only where there is something to wait for, so that a call on a
 * device in use need not give way to others.
 */
export function readyDevice(name: unknown): Device | Promise<Device> {
  const isCpu = (name === undefined ? process.env.SELECTIVE_SCAN_DEVICE : name) === 'cpu';
  if (isCpu) return cpu;
  if (found === undefined) return awaitNative((native) => native.find()).then(() => setUp(resolveDevice(name)));
  return setUp(resolveDevice(name));
}

function setUp(device: Device): Device | Promise<Device> {
  if (open.has(device.index)) return device;
  return awaitNative((native) => native.open(device.index)).then(() => {
    open.add(device.index);
    return device;
  });
}

function quote(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : typeof value;
}

/** Settles when all work given to a device's own queue so far is done. The promise form never blocks the event loop. */
export async function synchronize(device?: string, options?: WaitOptions): Promise<void> {
  refuseInCapture('a promise form');
  await untilAborted(readSignal(options), async () => {
    const ready = readyDevice(device);
    const { index } = ready instanceof Promise ? await ready : ready;
    await awaitNative((native) => native.finish(index));
  });
}

/** Returns when all work given to a device's own queue so far is done. */
export function synchronizeSync(device?: string): void {
  const { index } = resolveDevice(device);
  finishSync(index);
}

/** Returns when all work given to a queue so far is done. */
export function finishSync(queue: number): void {
  refuseInCapture('a wait for the device');
  callNative((native) => native.finishSync(queue));
}

/** Measures a GPU's ceilings with micro-kernels, in well under a second. ERR_UNSUPPORTED on the CPU. */
export async function measureRoofs(device?: string, options?: WaitOptions): Promise<Roofs> {
  refuseInCapture('a promise form');
  return untilAborted(readSignal(options), () => measure(device));
}

async function measure(device?: string): Promise<Roofs> {
  const { name, index } = await readyDevice(device);
  if (index < 0) {
    throw new SelectiveScanError(
      'ERR_UNSUPPORTED',
      `Expected a GPU, whose ceilings can be measured, but received ${name}.`,
    );
  }
  const into = new Float64Array(2);
  await awaitNative((native) => native.measureRoofs(index, into));
  return { bytesPerSecond: into[0] as number, exponentialsPerSecond: into[1] as number };
}
