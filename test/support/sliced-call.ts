import { join } from 'node:path';
import { type DType, Tensor } from 'selective-scan';
import type { CallResult, Form } from './call';
import { packageRoot } from './files';
import { valueOfBits } from './rounding';
import { type ScanCase, sequencesOf } from './scan-case';

/**
 * The package's internal entry, dist/native.js, for what the public one does not offer: host arrays cut into slices of a
 * size that is said (makeCallControl), on a CPU as well, so that a small problem takes the way of a large one.
 */
const { native } = require(join(packageRoot, 'dist/native.js')) as { native: () => any };

const codes = { float32: 0, float16: 1, bfloat16: 2 };

export interface SlicedResult extends CallResult {
  /** In how many slices the arrays were moved. */
  slices: number;
  done: number;
}

interface SlicedOptions {
  /** About how many bytes a slice moves. */
  sliceBytes: number;
  hasLastState?: boolean;
  batchInvariant?: boolean;
  /** The result in page-locked memory. */
  hasPinnedOut?: boolean;
  /** In a stream of its own. */
  inStream?: boolean;
  /** Promise form: called before each turn of reading, and may take its arrays away. */
  beforeTurn?: (arrays: Record<'u' | 'z', RawArray>, abort: () => void) => void;
}

type RawArray = Uint32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** One call through the pipeline. */
export async function callInSlices(
  c: ScanCase,
  device: string,
  form: Form,
  {
    sliceBytes,
    hasLastState = true,
    batchInvariant = false,
    hasPinnedOut = false,
    inStream = false,
    beforeTurn,
  }: SlicedOptions,
): Promise<SlicedResult> {
  const module = native();
  const states = sequencesOf(c).length;
  const sizes = [c.batch, c.dim, c.seqlen, c.dstate, c.groups, states, codes[c.dtype], c.layout === 'bdl' ? 0 : 1];
  const kinds = (c.complex ? 1 : 0) | (c.constantB ? 0 : 2) | (c.constantC ? 0 : 4) | (c.deltaSoftplus ? 8 : 0);
  const flags = kinds | (batchInvariant ? 16 : 0);
  const stateLength = hasLastState ? states * c.dim * c.dstate * (c.complex ? 2 : 1) : 0;
  const bytes = c.u.length * (c.dtype === 'float32' ? 4 : 2);
  const memory: ArrayBuffer = hasPinnedOut ? module.allocatePinned(bytes) : new ArrayBuffer(bytes);
  const out = c.dtype === 'float32' ? new Uint32Array(memory) : new Uint16Array(memory);
  out.fill(-1); // NaN, wherever nothing is written
  const lastState = new Float32Array(stateLength);
  const matrix = (x: Float64Array, isConstant: boolean) => raw(x, isConstant ? 'float32' : c.dtype);
  const single = (x: Float64Array | undefined) => x && raw(x, 'float32');
  const own = (x: Float64Array | undefined) => x && raw(x, c.dtype);
  const [u, z] = [raw(c.u, c.dtype), own(c.z)];
  const arrays = [
    ...[u, own(c.delta), single(c.A), matrix(c.B, c.constantB), matrix(c.C, c.constantC)],
    ...[single(c.D), z, single(c.deltaBias), single(c.initialState), out],
    hasLastState ? new Uint32Array(lastState.buffer) : undefined,
  ];
  const starts = c.cuSeqlens && new Uint32Array(Int32Array.from(c.cuSeqlens).buffer);
  const control = module.makeCallControl(sliceBytes);
  const index = device === 'cpu' ? -1 : Number(device.slice('cuda:'.length));
  const queue = inStream ? module.openStream(index) : index;
  const isPromise = form === 'promise';
  const call = module.selectiveScan(queue, isPromise, Float64Array.of(...sizes, flags), starts, control, ...arrays);
  if (isPromise) {
    // A call that is aborted before it has begun never reads.
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    call.then(settle, settle);
    do {
      await new Promise(setImmediate);
      beforeTurn?.({ u, z: z as RawArray }, () => module.abortCall(control));
    } while (!isSettled && module.feedCall(control, ...arrays) !== 0);
    await call;
  }
  if (inStream) module.closeStream(queue);
  const bits = c.dtype;
  const values = bits === 'float32' ? new Float32Array(out.buffer) : out;
  return {
    out: Float64Array.from(values, (x) => (bits === 'float32' ? x : valueOfBits(bits, x))),
    lastState: Float64Array.from(lastState),
    device,
    ...module.progressOf(control),
  };
}

/** The bits of values in a dtype, as the native side takes them. */
function raw(values: Float64Array, dtype: DType): RawArray {
  const { data } = Tensor.from(new Float32Array(values), [values.length], dtype);
  return (dtype === 'float32' ? new Uint32Array(data.buffer) : data).slice() as RawArray;
}
