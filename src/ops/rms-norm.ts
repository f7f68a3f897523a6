import { checkFlag, checkSize, describe, readOptions } from '../check.js';
import { nativeCode } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import type { Tensor } from '../tensor.js';
import { Operands, type Spec } from './operands.js';
import { checkIsTensor, readFloatDType, readRows } from './rows.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

/** Arguments of the normalisation. Its arrays are Tensors of one device. */
export interface RmsNormOptions {
  /** Rows, [..., dim], float32, float16 or bfloat16. */
  x: Tensor;
  /** What the normalised channels are multiplied by, [dim], float32 or of x's dtype. */
  weight: Tensor;
  /** Added to x before, in float32: [..., dim] as x, float32. */
  residual?: Tensor | undefined;
  /** Added to the mean square, at least 0. Default 1e-5. */
  eps?: number | undefined;
  /** The dtype of out: float32, float16 or bfloat16. Default: x's. */
  dtype?: 'float32' | 'float16' | 'bfloat16' | undefined;
  /** Also return what was normalised, in float32: x + residual, or x. Default false. */
  returnResidual?: boolean | undefined;
  /** May only name the device where the tensors are. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED unless the call has begun by then. */
  signal?: AbortSignal | undefined;
}

export interface RmsNormResult {
  /** As x, of the dtype asked for. */
  out: Tensor;
  /** With returnResidual: [..., dim] as x, float32. */
  residual?: Tensor;
  /** Where the call ran. */
  device: string;
}

// Inputs in the order of native/binding/rms_norm.cc.
const inputs = ['x', 'weight', 'residual'] as const;
type Name = (typeof inputs)[number];

const known: ReadonlySet<string> = new Set<keyof RmsNormOptions>([
  ...inputs,
  ...(['eps', 'dtype', 'returnResidual', 'device', 'stream'] as const),
]);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** Read during the native call only, like those of the other ops. */
const nativeSizes = new Float64Array(5);
const nativeNumbers = new Float64Array(1);

/**
 * Root mean square normalisation (Zhang and Sennrich 2019, «Root Mean Square Layer Normalization»), with the residual of
 * the block before added first. For each row, in float32:
 *
 *     r   = x + residual
 *     out = r / sqrt(mean(r^2) + eps) * weight
 *
 * A row's result is the same bits whatever rows are beside it. A row of zeros with eps 0 is NaN, and so is what is
 * infinite; squares beyond the range of float32 (values of about 1.8e19) count as infinite.
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_OUT_OF_MEMORY,
 * ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export async function rmsNorm(options: RmsNormOptions): Promise<RmsNormResult> {
  const read = readOptions<RmsNormOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  return resultOf(await run(prepare(read), signal));
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function rmsNormSync(options: Omit<RmsNormOptions, 'signal'>): RmsNormResult {
  return resultOf(runSync(prepare(readOptions<RmsNormOptions>(options, known, 'options'))));
}

function resultOf({ outputs, device }: OpResult): RmsNormResult {
  const [out, residual] = outputs as [Tensor, Tensor | undefined];
  return residual ? { out, residual, device } : { out, device };
}

/** `options` are a copy that nobody else has. */
function prepare(options: RmsNormOptions): OpRun<Name> {
  checkIsTensor('x', options.x);
  const operands = new Operands<Name>(options, inputs, 2);
  const dtype = operands.floatDType('x');
  const { leading, rows, length } = readRows(operands, 'x', 'dim');
  const dim = checkSize('dim', length, 1);
  const axes = [...leading, ['dim', dim] as const];
  const sum: Spec = { axes, dtype: 'float32' };

  const weightDType = operands.dtype('weight') === 'float32' ? 'float32' : dtype;
  operands.check('weight', { axes: [['dim', dim]], dtype: weightDType });
  operands.check('residual', sum);
  const eps = readEps(options.eps);
  const outDType = readFloatDType(options.dtype, dtype);
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [{ axes, dtype: outDType }, checkFlag('returnResidual', options.returnResidual) ? sum : undefined],
    launch: (native, queue, isPromise, arrays, control) => {
      nativeSizes.set([rows, dim, nativeCode[dtype], nativeCode[weightDType], nativeCode[outDType]]);
      nativeNumbers[0] = eps;
      return native.rmsNorm(queue, isPromise, nativeSizes, nativeNumbers, control, ...arrays);
    },
  };
}

function readEps(eps: unknown): number {
  if (eps === undefined) return 1e-5;
  if (typeof eps === 'number' && eps >= 0 && Number.isFinite(eps)) return eps;
  throw new SelectiveScanError(
    'ERR_OPTION',
    `Expected eps to be a number of at least 0 but received ${describe(eps)}.`,
  );
}
