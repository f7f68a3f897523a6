import { type Axis, checkSize, describe, guarded, readOptions } from '../check.js';
import { nativeCode } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import { isTensor, type Tensor } from '../tensor.js';
import { Operands, type Spec } from './operands.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

type Float = 'float32' | 'float16' | 'bfloat16';

/** Arguments of the product. Its arrays are Tensors of one device, in any combination of the three dtypes. */
export interface LinearOptions {
  /** Input, [..., in], float32, float16 or bfloat16: any number of axes, also none, before the last. */
  x: Tensor;
  /** Weights, [out, in], float32, float16 or bfloat16. */
  weight: Tensor;
  /** Added to each row of the product, [out], float32 or of the weight's dtype. */
  bias?: Tensor | undefined;
  /** Of the result. Default: x's. */
  dtype?: Float | undefined;
  /**
   * Sizes that sum to out, 1 to 8 of them: the result is then one contiguous tensor for each, [..., size], which hold the
   * features in their order. That is how a projection that several layers share is taken apart without a copy.
   */
  split?: readonly number[] | undefined;
  /** May only name the device where the tensors are. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED, at the next piece of work on a CPU. */
  signal?: AbortSignal | undefined;
}

export interface LinearResult {
  /** [..., out]. */
  out: Tensor;
  /** Where the product was computed. */
  device: string;
}

export interface SplitLinearResult {
  /** One tensor for each size of `split`. */
  outs: Tensor[];
  /** Where the product was computed. */
  device: string;
}

type Whole<Options> = Options & { split?: undefined };
type Split<Options> = Options & { split: readonly number[] };

const inputs = ['x', 'weight', 'bias'] as const;
type Name = (typeof inputs)[number];

const known: ReadonlySet<string> = new Set<keyof LinearOptions>([...inputs, 'dtype', 'split', 'device', 'stream']);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** LinearParams::kMaxOutputs of native/ops/linear.h. */
const mostOutputs = 8;

/** Read during the native call only. One for all of them: making one takes longer than a small call should. */
const nativeSizes = new Float64Array(8 + mostOutputs);

/**
 * A linear layer: out = x @ weight^T + bias, for each row of x (torch.nn.functional.linear). With in features of a row,
 *
 *     out[o] = bias[o] + sum_i weight[o,i] * x[i]
 *
 * The sum is float32 whatever the dtypes, and rounded once, to the result's. On a CPU a row's result is the same bits
 * whatever other rows there are; on a GPU it need not be. A size of 0 gives an empty result, or, of `in`, the bias.
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_UNSUPPORTED,
 * ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export function linear(options: Whole<LinearOptions>): Promise<LinearResult>;
export function linear(options: Split<LinearOptions>): Promise<SplitLinearResult>;
export async function linear(options: LinearOptions): Promise<LinearResult | SplitLinearResult> {
  const read = readOptions<LinearOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  const plan = prepare(read);
  return resultOf(await run(plan, signal), read.split);
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function linearSync(options: Whole<Omit<LinearOptions, 'signal'>>): LinearResult;
export function linearSync(options: Split<Omit<LinearOptions, 'signal'>>): SplitLinearResult;
export function linearSync(options: Omit<LinearOptions, 'signal'>): LinearResult | SplitLinearResult {
  const read = readOptions<LinearOptions>(options, known, 'options');
  return resultOf(runSync(prepare(read)), read.split);
}

function resultOf({ outputs, device }: OpResult, split: unknown): LinearResult | SplitLinearResult {
  const outs = outputs as Tensor[];
  return split === undefined ? { out: outs[0] as Tensor, device } : { outs, device };
}

/** `options` are a copy that nobody else has. */
function prepare(options: LinearOptions): OpRun<Name> {
  checkIsTensor(options.x);
  const operands = new Operands<Name>(options, inputs, 2);
  const lead = [...(operands.dims('x') as readonly number[])];
  const inFeatures = lead.pop();
  if (inFeatures === undefined) {
    throw new SelectiveScanError('ERR_SHAPE', 'Expected x to have the axes [..., in] but received shape [].');
  }
  const [outFeatures] = operands.dimsOfRank('weight', ['out', 'in']) as [number, number];
  const dtype = operands.floatDType('x');
  const weightDType = operands.floatDType('weight');
  const biasDType = operands.tensor('bias') ? operands.floatDType('bias') : 'float32';
  const out: Axis = ['out', outFeatures];
  operands.check('weight', { axes: [out, ['in', inFeatures]], dtype: weightDType });
  operands.check('bias', { axes: [out], dtype: biasDType === 'float32' ? biasDType : weightDType });

  const outDType = checkDType(options.dtype) ?? dtype;
  const sizes = checkSplit(options.split, outFeatures) ?? [outFeatures];
  const leadAxes = lead.map((size, i): Axis => [`axis ${i}`, size]);
  const rows = lead.reduce((product, size) => product * size, 1);
  const codes = [nativeCode[dtype], nativeCode[weightDType], nativeCode[biasDType], nativeCode[outDType]] as const;
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: sizes.map((size): Spec => ({ axes: [...leadAxes, ['size', size]], dtype: outDType })),
    launch: (native, queue, isPromise, arrays, control) => {
      nativeSizes.set([rows, inFeatures, outFeatures, ...codes, sizes.length, ...sizes]);
      return native.linear(queue, isPromise, nativeSizes, control, ...arrays);
    },
  };
}

function checkIsTensor(x: unknown): void {
  if (isTensor(x)) return;
  const received = ArrayBuffer.isView(x) ? 'a typed array' : describe(x);
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected x to be a Tensor, whose shape says what its axes are, but received ${received}.`,
  );
}

function checkDType(dtype: unknown): Float | undefined {
  if (dtype === undefined || dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16') return dtype;
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected dtype to be 'float32', 'float16' or 'bfloat16' but received ${describe(dtype)}.`,
  );
}

/** A copy of the sizes, read one by one, since an array's iterator is whatever the caller made it. */
function checkSplit(split: unknown, outFeatures: number): number[] | undefined {
  if (split === undefined) return undefined;
  const sizes = guarded('split', 'ERR_OPTION', () => {
    if (!Array.isArray(split)) {
      throw new SelectiveScanError(
        'ERR_OPTION',
        `Expected split to be an array of sizes but received ${describe(split)}.`,
      );
    }
    const { length } = split;
    if (length < 1 || length > mostOutputs) {
      throw new SelectiveScanError(
        'ERR_OPTION',
        `Expected split to have 1 to ${mostOutputs} sizes but received ${length}.`,
      );
    }
    return Array.from({ length }, (_, i) => checkSize(`split[${i}]`, split[i], 0));
  });
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (sum === outFeatures) return sizes;
  throw new SelectiveScanError(
    'ERR_SHAPE',
    `Expected split to sum to out = ${outFeatures} but received [${sizes.join(', ')}], which sums to ${sum}.`,
  );
}
