import { type Axis, checkSize, readOptions } from '../check.js';
import { nativeCode } from '../dtype.js';
import { rawView } from '../host-array.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import type { Tensor } from '../tensor.js';
import { checkActivation, checkWeights } from './conv-arguments.js';
import { checkSlots, readHostSlots } from './host-integers.js';
import { Operands, requireTensor, type Spec } from './operands.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

/** Arguments of the update. Its arrays are Tensors of one device; without the axis `tokens` a call is of one token. */
export interface CausalConv1dUpdateOptions {
  /** The last inputs of each slot, the oldest first, [slots, dim, width - 1], of x's dtype. Updated in place. */
  state: Tensor;
  /** Input, [batch, dim] or [batch, tokens, dim], float32, float16 or bfloat16. */
  x: Tensor;
  /** A filter for each channel, [dim, width], the weight of the newest input last; float32 or x's dtype. width: 2 to 8. */
  weight: Tensor;
  /** [dim], of weight's dtype. */
  bias?: Tensor | undefined;
  /** Applied to the sum: 'silu', y * sigmoid(y). Default: none. */
  activation?: 'silu' | undefined;
  /**
   * Which slot of the state each row of the batch has, [batch], int32; by default row b has slot b. A row whose slot is
   * -1 is left out: its out is 0 and it touches no state. An Int32Array or a CPU tensor is checked at the call. A
   * tensor on the GPU, where the state is, is not read by the host: a row whose slot does not exist gets NaN for out
   * and touches no state, and that no slot is named twice is up to the caller.
   */
  slots?: Int32Array | Tensor | undefined;
  /** May only name the device where the tensors are. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED, and no state is touched, unless the update has begun by then. */
  signal?: AbortSignal | undefined;
}

export interface CausalConv1dUpdateResult {
  /** As x. */
  out: Tensor;
  /** Where the update ran. */
  device: string;
}

const required = ['state', 'x', 'weight'] as const;
const optional = ['bias', 'slots'] as const;
type Name = (typeof required)[number] | (typeof optional)[number];

// Inputs in the order of native/binding/causal_conv1d_update.cc.
const inputs = [...required, ...optional];
const known: ReadonlySet<string> = new Set<keyof CausalConv1dUpdateOptions>([
  ...inputs,
  ...(['activation', 'device', 'stream'] as const),
]);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** Read during the native call only. One for all of them: making one takes longer than a small call should. */
const nativeSizes = new Float64Array(8);

/**
 * One token of causalConv1d, or a few, from and into states that are updated in place: a decode step. A row's tokens
 * follow the inputs in its slot, and push as many of these out; the results are the bits that causalConv1d would give for
 * the whole. Calls on one device run in the order in which they were made, whichever their form.
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_UNSUPPORTED,
 * ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export async function causalConv1dUpdate(options: CausalConv1dUpdateOptions): Promise<CausalConv1dUpdateResult> {
  const read = readOptions<CausalConv1dUpdateOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  const plan = prepare(read);
  return resultOf(await run(plan, signal));
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function causalConv1dUpdateSync(options: Omit<CausalConv1dUpdateOptions, 'signal'>): CausalConv1dUpdateResult {
  const plan = prepare(readOptions<CausalConv1dUpdateOptions>(options, known, 'options'));
  return resultOf(runSync(plan));
}

function resultOf({ outputs, device }: OpResult): CausalConv1dUpdateResult {
  const [out] = outputs as [Tensor];
  return { out, device };
}

/** `options` are a copy that nobody else has. */
function prepare(options: CausalConv1dUpdateOptions): OpRun<Name> {
  requireTensor('state', options.state, ', whose memory is updated in place,');
  const hasSlots = options.slots !== undefined;
  const hostSlots = readHostSlots(options.slots);
  if (hostSlots) options.slots = undefined; // not an array of the device's
  const operands = new Operands<Name>(options, inputs, required.length);
  operands.refuseAliasesOf('state');

  const stateRows = hasSlots ? 'slots' : 'batch';
  const [states] = operands.dimsOfRank('state', [stateRows, 'dim', 'width - 1']) as [number];
  const x = operands.dimsOfRank('x', ['batch', 'dim'], ['batch', 'tokens', 'dim']);
  const batch = x[0] as number;
  const tokens = checkSize('tokens', x.length === 2 ? 1 : x[1], 1);
  const dim = checkSize('dim', x.at(-1), 1);
  const slots = hasSlots ? states : batch;
  const dtype = operands.floatDType('x');
  const { width, weightDType } = checkWeights(operands, dim, dtype);

  const channel: Axis = ['dim', dim];
  const steps: Axis[] =
    x.length === 2
      ? [['batch', batch]]
      : [
          ['batch', batch],
          ['tokens', tokens],
        ];
  const activations: Spec = { axes: [...steps, channel], dtype };
  operands.check('state', { axes: [[stateRows, slots], channel, ['width - 1', width - 1]], dtype });
  operands.check('slots', { axes: [['batch', batch]], dtype: 'int32' });
  if (hostSlots) checkSlots(hostSlots, batch, slots);

  const silu = checkActivation(options.activation);
  const rawSlots = hostSlots && rawView(hostSlots);
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [activations],
    launch: (native, queue, isPromise, arrays, control) => {
      const codes = [nativeCode[dtype], nativeCode[weightDType], silu] as const;
      nativeSizes.set([batch, tokens, dim, width, slots, ...codes]);
      return native.causalConv1dUpdate(queue, isPromise, nativeSizes, rawSlots, control, ...arrays);
    },
  };
}
