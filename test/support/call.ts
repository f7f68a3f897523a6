import { type SelectiveScanOptions, selectiveScan, selectiveScanSync, Tensor } from 'selective-scan';
import type { ScanCase } from './scan-case';

export interface CallResult {
  out: Float64Array;
  lastState: Float64Array;
  device: string;
}

export type Form = 'promise' | 'sync';

const float16Array: (new (values: Float64Array) => Float32Array) | undefined = (globalThis as any).Float16Array;

/** Whether a problem can be posed in typed arrays: bfloat16 has none, float16 only where the runtime knows it. */
export function fitsTypedArrays(c: Pick<ScanCase, 'dtype'>): boolean {
  return c.dtype === 'float32' || (c.dtype === 'float16' && float16Array !== undefined);
}

export function typedArrayOptions(c: ScanCase, device: string): SelectiveScanOptions {
  if (!fitsTypedArrays(c)) throw new Error(`There is no typed array of ${c.dtype} here.`);
  const own = (x: Float64Array): Float32Array =>
    c.dtype === 'float16' && float16Array ? new float16Array(x) : new Float32Array(x);
  const single = (x: Float64Array): Float32Array => new Float32Array(x);
  return {
    ...optionsOf(c),
    u: own(c.u),
    delta: own(c.delta),
    A: single(c.A),
    B: c.constantB ? single(c.B) : own(c.B),
    C: c.constantC ? single(c.C) : own(c.C),
    ...(c.D && { D: single(c.D) }),
    ...(c.z && { z: own(c.z) }),
    ...(c.deltaBias && { deltaBias: single(c.deltaBias) }),
    ...(c.initialState && { initialState: single(c.initialState) }),
    ...(c.cuSeqlens && { cuSeqlens: Int32Array.from(c.cuSeqlens) }),
    complexA: c.complex,
    constantB: c.constantB,
    constantC: c.constantC,
    dims: { batch: c.batch, dim: c.dim, seqlen: c.seqlen, dstate: c.dstate, groups: c.groups },
    device,
  };
}

/** The operands as tensors on a device, and what was made, to be disposed. */
export function tensorOptions(c: ScanCase, device: string): { options: SelectiveScanOptions; tensors: Tensor[] } {
  const tensors: Tensor[] = [];
  const tensor = (x: Float64Array, dims: number[], dtype: Tensor['dtype']): Tensor => {
    const host = Tensor.from(new Float32Array(x), dims, dtype);
    const placed = device === 'cpu' ? host : host.toSync(device);
    if (placed !== host) host.dispose();
    tensors.push(placed);
    return placed;
  };
  const { batch, dim, seqlen, dstate, groups } = c;
  const width = c.complex ? 2 : 1;
  const rates = c.complex ? 'complex64' : 'float32';
  const bdl = c.layout === 'bdl';
  const steps = bdl ? [batch, dim, seqlen] : [batch, seqlen, dim];
  const groupAxis = groups > 1 || c.explicitGroups ? [groups] : [];
  const varying = bdl ? [batch, ...groupAxis, dstate, seqlen * width] : [batch, seqlen, ...groupAxis, dstate * width];
  const sequences = c.cuSeqlens ? c.cuSeqlens.length - 1 : batch;
  const bOrC = (x: Float64Array, constant: boolean): Tensor =>
    constant ? tensor(x, [dim, dstate], rates) : tensor(x, varying, c.dtype);
  const options: SelectiveScanOptions = {
    ...optionsOf(c),
    u: tensor(c.u, steps, c.dtype),
    delta: tensor(c.delta, steps, c.dtype),
    A: tensor(c.A, [dim, dstate], rates),
    B: bOrC(c.B, c.constantB),
    C: bOrC(c.C, c.constantC),
    ...(c.D && { D: tensor(c.D, [dim], 'float32') }),
    ...(c.z && { z: tensor(c.z, steps, c.dtype) }),
    ...(c.deltaBias && { deltaBias: tensor(c.deltaBias, [dim], 'float32') }),
    ...(c.initialState && { initialState: tensor(c.initialState, [sequences, dim, dstate], rates) }),
    ...(c.cuSeqlens && { cuSeqlens: Int32Array.from(c.cuSeqlens) }),
  };
  return { options, tensors };
}

function optionsOf(c: ScanCase): Pick<SelectiveScanOptions, 'layout' | 'deltaSoftplus' | 'returnLastState'> {
  return { layout: c.layout, deltaSoftplus: c.deltaSoftplus, returnLastState: true };
}

export async function callWithArrays(c: ScanCase, device: string, form: Form): Promise<CallResult> {
  const options = typedArrayOptions(c, device);
  const result = form === 'sync' ? selectiveScanSync(options) : await selectiveScan(options);
  return {
    out: Float64Array.from(result.out as ArrayLike<number>),
    lastState: Float64Array.from(result.lastState as ArrayLike<number>),
    device: result.device,
  };
}

export async function callWithTensors(
  c: ScanCase,
  device: string,
  form: Form,
  more: Partial<SelectiveScanOptions> = {},
): Promise<CallResult> {
  const { options: plain, tensors } = tensorOptions(c, device);
  const options = { ...plain, ...more };
  try {
    const result = form === 'sync' ? selectiveScanSync(options) : await selectiveScan(options);
    tensors.push(result.out as Tensor, result.lastState as Tensor);
    return {
      out: Float64Array.from(await (result.out as Tensor).toArray()),
      lastState: Float64Array.from(await (result.lastState as Tensor).toArray()),
      device: result.device,
    };
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}
