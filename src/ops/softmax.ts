import { readOptions } from '../check.js';
import { nativeCode } from '../dtype.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import type { Tensor } from '../tensor.js';
import { Operands } from './operands.js';
import { checkIsTensor, readFloatDType, readRows } from './rows.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

/** Arguments of softmax and logSoftmax. */
export interface SoftmaxOptions {
  /** Rows, [..., n], float32, float16 or bfloat16. */
  x: Tensor;
  /** The dtype of out: float32, float16 or bfloat16. Default float32. */
  dtype?: 'float32' | 'float16' | 'bfloat16' | undefined;
  /** May only name the device where x is. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED unless the call has begun by then. */
  signal?: AbortSignal | undefined;
}

export interface SoftmaxResult {
  /** As x, of the dtype asked for. */
  out: Tensor;
  /** Where the call ran. */
  device: string;
}

const known: ReadonlySet<string> = new Set<keyof SoftmaxOptions>(['x', 'dtype', 'device', 'stream']);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** Read during the native call only. */
const nativeSizes = new Float64Array(5);

/**
 * Probabilities over the last axis, computed in float32: out = exp(x - m) / sum(exp(x - m)) with m the row's maximum.
 * A row with NaN or an infinity above zero, or of minus infinities alone, is NaN. A row's result is the same bits
 * whatever rows are beside it.
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_OUT_OF_MEMORY,
 * ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export function softmax(options: SoftmaxOptions): Promise<SoftmaxResult> {
  return callSoftmax(options, false);
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function softmaxSync(options: Omit<SoftmaxOptions, 'signal'>): SoftmaxResult {
  return callSoftmaxSync(options, false);
}

/** What softmax and logSoftmax share, but for their docstrings. */
export async function callSoftmax(options: SoftmaxOptions, isLog: boolean): Promise<SoftmaxResult> {
  const read = readOptions<SoftmaxOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  return resultOf(await run(prepare(read, isLog), signal));
}

export function callSoftmaxSync(options: Omit<SoftmaxOptions, 'signal'>, isLog: boolean): SoftmaxResult {
  return resultOf(runSync(prepare(readOptions<SoftmaxOptions>(options, known, 'options'), isLog)));
}

function resultOf({ outputs, device }: OpResult): SoftmaxResult {
  return { out: outputs[0] as Tensor, device };
}

function prepare(options: SoftmaxOptions, isLog: boolean): OpRun<'x'> {
  checkIsTensor('x', options.x);
  const operands = new Operands<'x'>(options, ['x'], 1);
  const dtype = operands.floatDType('x');
  const { leading, rows, length } = readRows(operands, 'x', 'n');
  const outDType = readFloatDType(options.dtype, 'float32');
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [{ axes: [...leading, ['n', length]], dtype: outDType }],
    launch: (native, queue, isPromise, arrays, control) => {
      nativeSizes.set([rows, length, nativeCode[dtype], nativeCode[outDType], isLog ? 1 : 0]);
      return native.softmax(queue, isPromise, nativeSizes, control, ...arrays);
    },
  };
}
