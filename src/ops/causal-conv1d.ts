import { type Axis, checkFlag, checkSize, readOptions } from '../check.js';
import { nativeCode } from '../dtype.js';
import { rawView } from '../host-array.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import type { Tensor } from '../tensor.js';
import { checkActivation, checkWeights } from './conv-arguments.js';
import { readCuSeqlens } from './host-integers.js';
import { checkLayout, inLayout, type Layout } from './layout.js';
import { Operands, requireTensor, type Spec } from './operands.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

/** Arguments of the convolution. Its arrays are Tensors of one device; `cuSeqlens` is read on the host. */
export interface CausalConv1dOptions {
  /** Input, [batch, dim, seqlen], in layout 'bld' [batch, seqlen, dim]; float32, float16 or bfloat16. */
  x: Tensor;
  /** A filter for each channel, [dim, width], the weight of the newest input last; float32 or x's dtype. width: 2 to 8. */
  weight: Tensor;
  /** [dim], of weight's dtype. */
  bias?: Tensor | undefined;
  /** Applied to the sum: 'silu', y * sigmoid(y). Default: none. */
  activation?: 'silu' | undefined;
  /**
   * The inputs before the first step, the oldest first, [batch, dim, width - 1] (packed: [sequences, dim, width - 1]), of
   * x's dtype. Default 0.
   */
  initialState?: Tensor | undefined;
  /** Packed sequences, in a batch of 1: sequence s covers steps cuSeqlens[s] to cuSeqlens[s + 1]. int32, on the host. */
  cuSeqlens?: Int32Array | Tensor | undefined;
  /** Also return the inputs that the next step needs. Default false. */
  returnFinalState?: boolean | undefined;
  /** Default 'bdl'. */
  layout?: Layout | undefined;
  /** May only name the device where the tensors are. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED. On a GPU, where the work is enqueued as a whole, only before that. */
  signal?: AbortSignal | undefined;
}

export interface CausalConv1dResult {
  /** As x. */
  out: Tensor;
  /**
   * With returnFinalState: as initialState. The last width - 1 of the initial state and the sequence together: an empty
   * sequence's is its initial state.
   */
  finalState?: Tensor;
  /** Where the convolution ran. */
  device: string;
}

const required = ['x', 'weight'] as const;
const optional = ['bias', 'initialState'] as const;
type Name = (typeof required)[number] | (typeof optional)[number];

// Inputs in the order of native/binding/causal_conv1d.cc.
const inputs = [...required, ...optional];
const known: ReadonlySet<string> = new Set<keyof CausalConv1dOptions>([
  ...inputs,
  ...(['activation', 'cuSeqlens', 'returnFinalState', 'layout', 'device', 'stream'] as const),
]);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** Read during the native call only. One for all of them: making one takes longer than a small call should. */
const nativeSizes = new Float64Array(9);

/**
 * The short convolution of a Mamba block (Gu and Dao 2023, https://arxiv.org/abs/2312.00752, section 3.4): causal, over
 * time, each channel by its own filter. For each batch entry, step t and channel d:
 *
 *     y   = bias[d] + sum_k weight[d,k] * x[t - (width - 1) + k]
 *     out = y, or y * sigmoid(y) with activation 'silu'
 *
 * where x before the first step is initialState, or 0. Sums are float32, from the oldest input to the newest, so that a
 * sequence's result is the same bits in any batch, place and pack, and also when the sequence is cut in two and the state
 * carried over. seqlen may be 0.
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_UNSUPPORTED,
 * ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export async function causalConv1d(options: CausalConv1dOptions): Promise<CausalConv1dResult> {
  const read = readOptions<CausalConv1dOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  const plan = prepare(read);
  return resultOf(await run(plan, signal));
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function causalConv1dSync(options: Omit<CausalConv1dOptions, 'signal'>): CausalConv1dResult {
  const plan = prepare(readOptions<CausalConv1dOptions>(options, known, 'options'));
  return resultOf(runSync(plan));
}

function resultOf({ outputs, device }: OpResult): CausalConv1dResult {
  const [out, finalState] = outputs as [Tensor, Tensor | undefined];
  return finalState ? { out, finalState, device } : { out, device };
}

/** `options` are a copy that nobody else has. */
function prepare(options: CausalConv1dOptions): OpRun<Name> {
  requireTensor('x', options.x);
  const operands = new Operands<Name>(options, inputs, required.length);
  const layout = checkLayout(options.layout);
  const x = operands.dimsOfRank('x', layout === 'bdl' ? ['batch', 'dim', 'seqlen'] : ['batch', 'seqlen', 'dim']);
  const [batch, channels, seqlen] = (layout === 'bdl' ? x : [x[0], x[2], x[1]]) as [number, number, number];
  const dim = checkSize('dim', channels, 1);
  const dtype = operands.floatDType('x');
  const { width, weightDType } = checkWeights(operands, dim, dtype);
  const cuSeqlens = readCuSeqlens(options.cuSeqlens, { batch, seqlen });
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : batch;

  const channel: Axis = ['dim', dim];
  const activations: Spec = { axes: inLayout(layout, ['batch', batch], [channel], ['seqlen', seqlen]), dtype };
  const kept: Axis = ['width - 1', width - 1];
  const state: Spec = { axes: [[cuSeqlens ? 'sequences' : 'batch', sequences], channel, kept], dtype };
  operands.check('initialState', state);

  const silu = checkActivation(options.activation);
  const starts = cuSeqlens && rawView(cuSeqlens);
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [activations, checkFlag('returnFinalState', options.returnFinalState) ? state : undefined],
    launch: (native, queue, isPromise, arrays, control) => {
      const codes = [nativeCode[dtype], nativeCode[weightDType], layout === 'bdl' ? 0 : 1, silu] as const;
      nativeSizes.set([batch, dim, seqlen, width, sequences, ...codes]);
      return native.causalConv1d(queue, isPromise, nativeSizes, starts, control, ...arrays);
    },
  };
}
