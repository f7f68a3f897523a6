import { refuseInCapture } from './capturing.js';
import { type Device, resolveDevice } from './device.js';
import { SelectiveScanError } from './errors.js';
import { awaitNative, callNative } from './native.js';
import { Queue } from './queue.js';
import { readSignal, untilAborted, type WaitOptions } from './signal.js';

/** What this process holds of a GPU's memory through this package, in bytes. */
export interface MemoryUse {
  /** Held by tensors, graphs and calls in flight. */
  readonly used: number;
  /** Kept for later calls, which then need not ask the driver. emptyCache() gives it back. */
  readonly cached: number;
  /** The most that was ever used. */
  readonly peak: number;
}

/** Handles are made by device(); only this module can call the constructor. */
const key = Symbol('DeviceHandle');

/** One device: its memory, and its own queue, in which all calls run that name no stream. */
export class DeviceHandle extends Queue {
  readonly #device: Device;

  /** @internal */
  constructor(secret: symbol, device: Device) {
    super();
    if (secret !== key) throw new TypeError('Handles are made by device().');
    this.#device = device;
  }

  /** 'cpu', 'cuda:0', ... */
  get name(): string {
    return this.#device.name;
  }

  /**
   * Whether products of many rows run in NVIDIA's cuBLASLt, which is opened when this is first asked or the first of them is
   * made (up to seconds); else kernels of this package do them, more slowly. SELECTIVE_SCAN_CUBLASLT=0 in the environment turns
   * it off, any other value is where the library is. False on the CPU.
   */
  get usesCublasLt(): boolean {
    return callNative((native) => native.hasCublasLt(this.#device.index));
  }

  /** The memory that all threads of this process hold together. ERR_UNSUPPORTED on the CPU, where none is kept. */
  memory(): MemoryUse {
    const { name, index } = this.#device;
    if (index < 0) {
      throw new SelectiveScanError('ERR_UNSUPPORTED', `Expected a GPU, whose memory is kept, but received ${name}.`);
    }
    const into = new Float64Array(3);
    callNative((native) => native.memoryUse(index, into));
    const [used, cached, peak] = into as unknown as [number, number, number];
    return { used, cached, peak };
  }

  /**
   * Gives kept memory back, when the work that is enqueued is done: that of the device, and the host's page-locked memory that calls on
   * typed arrays pass through.
   */
  async emptyCache(options?: WaitOptions): Promise<void> {
    refuseInCapture('a promise form');
    const { index } = this.#device;
    await untilAborted(readSignal(options), () => awaitNative((native) => native.emptyCache(index)));
  }

  protected place(): Device {
    return this.#device;
  }
}

/**
 * A device by its name: 'cpu', 'cuda' (the first GPU), 'cuda:N', or 'auto', the default: the first GPU if there is one, else
 * the CPU. Throws ERR_DEVICE for anything else and for a GPU that is not there.
 */
export function device(name?: string): DeviceHandle {
  return new DeviceHandle(key, resolveDevice(name));
}
