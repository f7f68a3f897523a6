import { type Axis, checkSize, describe, readOptions } from '../check.js';
import { type DType, nativeCode } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { rawView } from '../host-array.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import type { Tensor } from '../tensor.js';
import { checkSlots, readHostSlots } from './host-integers.js';
import { Operands, requireTensor, type Spec } from './operands.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

/**
 * Arguments of the step. Its arrays are Tensors of one device. "Either" is float32 or hidden's dtype, which the matrices
 * have too. dtRank, dim, dstate and width are told by dtProj, A and convWeight.
 */
export interface MambaLayerStepOptions {
  /** What the layer before gave, or the embedding, [batch, hidden], float32, float16 or bfloat16. */
  hidden: Tensor;
  /** The sum of all that came before, [batch, hidden], float32. Updated in place: hidden is added to it. */
  residual: Tensor;
  /** Weights of the RMS norm before the mixer, [hidden], either. */
  normWeight: Tensor;
  /** [2 * dim, hidden]: the rows of x, then those of z. */
  inProj: Tensor;
  /** [2 * dim], either. */
  inProjBias?: Tensor | undefined;
  /** Weights of the causal convolution, [dim, width], the last for the newest, either; width is 2 to 4. */
  convWeight: Tensor;
  /** [dim], either. */
  convBias?: Tensor | undefined;
  /** The last inputs of the convolution, [slots, dim, width - 1], the oldest first, either. Updated in place. */
  convState: Tensor;
  /** [dtRank + 2 * dstate, dim]: the rows of dt, B and C. */
  xProj: Tensor;
  /** [dim, dtRank]. */
  dtProj: Tensor;
  /** Added to dt before softplus, [dim], float32. */
  dtBias: Tensor;
  /** State matrix's diagonal, [dim, dstate], float32: -exp(A_log) of a checkpoint. */
  A: Tensor;
  /** Skip connection, [dim], float32. */
  D: Tensor;
  /** States of the scan, [slots, dim, dstate], float32, float16 or bfloat16. Updated in place. */
  ssmState: Tensor;
  /** [hidden, dim]. */
  outProj: Tensor;
  /** [hidden], either. */
  outProjBias?: Tensor | undefined;
  /**
   * Which slot of the two states each row of the batch has, [batch], int32; by default row b has slot b. A row whose
   * slot is -1 is left out: its out is 0 and it touches no state. An Int32Array or a CPU tensor is checked at the call.
   * A tensor on the GPU, where the states are, is not read by the host: a row whose slot does not exist gets NaN for out
   * and touches no state, and that no slot is named twice is up to the caller. The residual takes hidden of every row.
   */
  slots?: Int32Array | Tensor | undefined;
  /** Of the norm before the mixer. Default 1e-5. */
  eps?: number | undefined;
  /** Falcon-Mamba: dt, B and C each pass through an RMS norm without weights, of this eps. Without it they do not. */
  mixerNormEps?: number | undefined;
  /** May only name the device where the tensors are. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED, and no state is touched, unless the step has begun by then. */
  signal?: AbortSignal | undefined;
}

export interface MambaLayerStepResult {
  /** [batch, hidden], of hidden's dtype: the next layer's hidden. */
  out: Tensor;
  /** Where the step ran. */
  device: string;
}

const required = [
  ...(['hidden', 'residual', 'normWeight', 'inProj', 'convWeight', 'convState', 'xProj', 'dtProj'] as const),
  ...(['dtBias', 'A', 'D', 'ssmState', 'outProj'] as const),
];
const optional = ['inProjBias', 'convBias', 'outProjBias', 'slots'] as const;
type Name = (typeof required)[number] | (typeof optional)[number];

// Inputs in the order of native/binding/mamba_layer_step.cc.
const inputs = [...required, ...optional];
const updated = ['residual', 'convState', 'ssmState'] as const;
const known: ReadonlySet<string> = new Set<keyof MambaLayerStepOptions>([
  ...inputs,
  ...(['eps', 'mixerNormEps', 'device', 'stream'] as const),
]);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** kLeastStepWidth and kMostStepWidth of native/ops/mamba_layer_step.h. */
const [leastWidth, mostWidth] = [2, 4];

/** Read during the native call only. One for all of them: making one takes longer than a small call should. */
const nativeSizes = new Float64Array(15);

/**
 * One token of each row through one layer of a Mamba language model (Gu and Dao 2023, figure 3), from and into states
 * that are updated in place. For each row, with h the scan's state in the row's slot:
 *
 *     residual += hidden
 *     x, z     = inProj (residual / sqrt(mean(residual^2) + eps) * normWeight) + inProjBias
 *     u        = silu(convBias + sum_k convWeight[k] * [convState, x][k])
 *     dt, B, C = xProj u                      (with mixerNormEps each v becomes v / sqrt(mean(v^2) + mixerNormEps))
 *     dt       = softplus(dtProj dt + dtBias)
 *     h[d,n]   = exp(dt[d] * A[d,n]) * h[d,n] + dt[d] * B[n] * u[d]
 *     out      = outProj ((sum_n C[n] * h[d,n] + D[d] * u[d]) * silu(z[d])) + outProjBias
 *
 * Sums are float32. On a GPU what the matrices are multiplied with is rounded to their dtype first. A row's result is
 * the same bits whatever else is in the batch. Calls on one device run in the order in which they were made, whichever
 * their form; the step can be captured, and then takes four nodes of a graph.
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_UNSUPPORTED (hidden
 * or dim too large for a GPU's shared memory), ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export async function mambaLayerStep(options: MambaLayerStepOptions): Promise<MambaLayerStepResult> {
  const read = readOptions<MambaLayerStepOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  return resultOf(await run(prepare(read), signal));
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function mambaLayerStepSync(options: Omit<MambaLayerStepOptions, 'signal'>): MambaLayerStepResult {
  return resultOf(runSync(prepare(readOptions<MambaLayerStepOptions>(options, known, 'options'))));
}

function resultOf({ outputs, device }: OpResult): MambaLayerStepResult {
  const [out] = outputs as [Tensor];
  return { out, device };
}

/** `options` are a copy that nobody else has. */
function prepare(options: MambaLayerStepOptions): OpRun<Name> {
  for (const name of updated) requireTensor(name, options[name], ', whose memory is updated in place,');
  const hasSlots = options.slots !== undefined;
  const hostSlots = readHostSlots(options.slots);
  if (hostSlots) options.slots = undefined; // not an array of the device's
  requireTensor('hidden', options.hidden);
  const operands = new Operands<Name>(options, inputs, required.length);
  for (const name of updated) operands.refuseAliasesOf(name);
  const sizes = readSizes(operands, hasSlots);
  const { batch, hidden, dim, dtRank, dstate, width, slots } = sizes;
  const dtype = operands.floatDType('hidden');
  const either = checkArrays(operands, dtype, sizes, hasSlots ? 'slots' : 'batch');
  if (hostSlots) checkSlots(hostSlots, batch, slots);

  const eps = checkEps('eps', options.eps) ?? 1e-5;
  const mixerNormEps = checkEps('mixerNormEps', options.mixerNormEps);
  const rawSlots = hostSlots && rawView(hostSlots);
  const codes = [dtype, either('convState'), operands.floatDType('ssmState'), either('normWeight')];
  codes.push(either('inProjBias'), either('convWeight'), either('convBias'), either('outProjBias'));
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [
      {
        axes: [
          ['batch', batch],
          ['hidden', hidden],
        ],
        dtype,
      },
    ],
    launch: (native, queue, isPromise, arrays, control) => {
      nativeSizes.set([batch, hidden, dim, dtRank, dstate, width, slots, ...codes.map((code) => nativeCode[code])]);
      return native.mambaLayerStep(queue, isPromise, nativeSizes, eps, mixerNormEps, rawSlots, control, ...arrays);
    },
  };
}

/** Sizes as hidden, A, dtProj, convWeight and the scan's state show them. */
function readSizes(operands: Operands<Name>, hasSlots: boolean) {
  const [batch, hidden] = operands.dimsOfRank('hidden', ['batch', 'hidden']);
  const [dim, dstate] = operands.dimsOfRank('A', ['dim', 'dstate']);
  const [, dtRank] = operands.dimsOfRank('dtProj', ['dim', 'dtRank']);
  const [, width] = operands.dimsOfRank('convWeight', ['dim', 'width']) as [number, number];
  const [states] = operands.dimsOfRank('ssmState', [hasSlots ? 'slots' : 'batch', 'dim', 'dstate']);
  if (width < leastWidth || width > mostWidth) {
    throw new SelectiveScanError(
      'ERR_SHAPE',
      `Expected width to be from ${leastWidth} to ${mostWidth} but received convWeight of width ${width}.`,
    );
  }
  return {
    batch: batch as number,
    hidden: checkSize('hidden', hidden, 1),
    dim: checkSize('dim', dim, 1),
    dtRank: checkSize('dtRank', dtRank, 1),
    dstate: checkSize('dstate', dstate, 1),
    width,
    slots: (hasSlots ? states : batch) as number,
  };
}

/** Holds every array to the sizes. Returns what tells the dtype of one that may have either of two. */
function checkArrays(
  operands: Operands<Name>,
  dtype: DType,
  sizes: ReturnType<typeof readSizes>,
  slotAxis: 'slots' | 'batch',
) {
  const batch: Axis = ['batch', sizes.batch];
  const hidden: Axis = ['hidden', sizes.hidden];
  const dim: Axis = ['dim', sizes.dim];
  const twice: Axis = ['2 * dim', 2 * sizes.dim];
  const dtRank: Axis = ['dtRank', sizes.dtRank];
  const dstate: Axis = ['dstate', sizes.dstate];
  const slots: Axis = [slotAxis, sizes.slots];
  const width: Axis = ['width', sizes.width];
  const selected: Axis = ['dtRank + 2 * dstate', sizes.dtRank + 2 * sizes.dstate];
  const either = (name: Name): DType => (operands.tensor(name) && operands.dtype(name) !== dtype ? 'float32' : dtype);
  const check = (name: Name, axes: Axis[], of: DType = dtype) =>
    operands.check(name, { axes, dtype: of } satisfies Spec);

  check('residual', [batch, hidden], 'float32');
  check('normWeight', [hidden], either('normWeight'));
  check('inProj', [twice, hidden]);
  check('inProjBias', [twice], either('inProjBias'));
  check('convWeight', [dim, width], either('convWeight'));
  check('convBias', [dim], either('convBias'));
  check('convState', [slots, dim, ['width - 1', sizes.width - 1]], either('convState'));
  check('xProj', [selected, dim]);
  check('dtProj', [dim, dtRank]);
  check('dtBias', [dim], 'float32');
  check('A', [dim, dstate], 'float32');
  check('D', [dim], 'float32');
  check('ssmState', [slots, dim, dstate], operands.floatDType('ssmState'));
  check('outProj', [hidden, dim]);
  check('outProjBias', [hidden], either('outProjBias'));
  check('slots', [batch], 'int32');
  return either;
}

function checkEps(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value;
  throw new SelectiveScanError(
    'ERR_OPTION',
    `Expected ${name} to be a finite number of at least 0 but received ${describe(value)}.`,
  );
}
