import { cpus } from 'node:os';
import { type CpuDevice, type CudaDevice, devices } from 'selective-scan';

export type DeviceInfo = CpuDevice | CudaDevice;

export function findDevice(name: string): DeviceInfo {
  const found = devices();
  const device =
    name === 'auto' ? found.at(-1) : found.find((each) => each.device === (name === 'cuda' ? 'cuda:0' : name));
  if (device === undefined)
    throw new Error(`No device '${name}'; there are ${found.map((each) => each.device).join(', ')}.`);
  return device;
}

/** A file name's worth of what was measured: 'nvidia-h200', 'amd-epyc-avx512-2-cores'. */
export function machineName(device: DeviceInfo): string {
  const parts = device.device === 'cpu' ? [device.name, device.vectorSet, cpus().length, 'cores'] : [device.name];
  return parts
    .join(' ')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}
