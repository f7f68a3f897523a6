import { type Axis, checkFlag, checkGroups, checkSize, readOptions } from '../check.js';
import { type DType, nativeCode } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { type FloatArray, rawView } from '../host-array.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import type { Tensor } from '../tensor.js';
import { readCuSeqlens } from './host-integers.js';
import { checkLayout, inLayout, type Layout } from './layout.js';
import { Operands, type Spec } from './operands.js';
import { readOut } from './out-array.js';
import { checkOnProgress, type Progress } from './progress.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

/** Sizes of a call. Tensors carry them in their shapes; typed arrays need them said. */
export interface SelectiveScanDims {
  batch: number;
  dim: number;
  seqlen: number;
  dstate: number;
  /** Groups of channels that share B and C; divides dim. Default 1. */
  groups?: number;
}

/**
 * Arguments of the scan; shapes for layout 'bdl' (for 'bld' seqlen comes before the axes that precede it here: u
 * [batch, seqlen, dim], B [batch, seqlen, groups, dstate]). A call's arrays are all Tensors of one device, or all typed
 * arrays; `cuSeqlens` is read on the host in either case.
 */
export interface SelectiveScanOptions<T extends Tensor | FloatArray = Tensor | FloatArray> {
  /** Input, [batch, dim, seqlen], float32, float16 or bfloat16. */
  u: T;
  /** Step sizes before bias and softplus, as u. */
  delta: T;
  /** State matrix's diagonal, [dim, dstate], float32 or complex64. */
  A: T | Float32Array;
  /**
   * Input matrix: varying, of u's dtype, [batch, dstate, seqlen] or [batch, groups, dstate, seqlen]; or constant, of A's
   * dtype, [dim, dstate]. With complex A, pairs of reals are adjacent in a varying one's last axis, which is twice as long.
   */
  B: T | Float32Array;
  /** Output matrix, as B. */
  C: T | Float32Array;
  /** Skip connection, [dim], float32. */
  D?: T | Float32Array | undefined;
  /** Gate: the output is multiplied by silu(z). As u. */
  z?: T | undefined;
  /** Added to delta before softplus, [dim], float32. */
  deltaBias?: T | Float32Array | undefined;
  /** State before the first step, [batch, dim, dstate] (packed: [sequences, dim, dstate]), float32 or A's. Default 0. */
  initialState?: T | Float32Array | undefined;
  /** Packed sequences, in a batch of 1: sequence s covers steps cuSeqlens[s] to cuSeqlens[s + 1]. int32, on the host. */
  cuSeqlens?: Int32Array | Tensor | undefined;
  /** Apply softplus to delta. Default false. */
  deltaSoftplus?: boolean | undefined;
  /** Also return the state after the last step. Default false. */
  returnLastState?: boolean | undefined;
  /**
   * The same sequence then gives the same bits alone, in any batch, at any place in it and in any pack, on one device and
   * build: how it is computed depends on neither batch nor seqlen nor cuSeqlens. Slower for few long sequences, whose time
   * is then not shared out. Default false.
   */
  batchInvariant?: boolean | undefined;
  /**
   * Typed arrays only: an array of the caller's, of u's kind and length, that the result is written into and that is the
   * result's `out`. Calls that use one again touch no new memory. It shares no memory with an input. The Sync form takes
   * any; the promise form one of allocPinned(), which it owns until it settles: other threads write it meanwhile, and an
   * ordinary array could be detached and freed under them. A call that fails leaves it partly written. Default: a new array.
   */
  out?: FloatArray | undefined;
  /** Default 'bdl'. */
  layout?: Layout | undefined;
  /** Sizes: required with typed arrays; with tensors optional, and then checked. */
  dims?: SelectiveScanDims | undefined;
  /** A typed array A (and constant B, C, states) holds complex64 as interleaved pairs. A Tensor's dtype says so itself. */
  complexA?: boolean | undefined;
  /** A typed array B is constant. A Tensor's shape says so itself. */
  constantB?: boolean | undefined;
  /** A typed array C is constant. A Tensor's shape says so itself. */
  constantC?: boolean | undefined;
  /** 'auto', 'cpu', 'cuda' or 'cuda:N'. Default SELECTIVE_SCAN_DEVICE or 'auto'; tensors run where they are. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: stops the call at its next slice; it rejects with ERR_ABORTED. */
  signal?: AbortSignal | undefined;
  /**
   * Promise form only: called on the event loop, at most a hundred times a second, while elements of `out` get done, and
   * with done = total before the promise resolves; never after it settles. With tensors of a GPU, whose work is enqueued
   * as a whole, only at the end. An error that it throws stops the call, which rejects with ERR_OPTION and the error as
   * its cause.
   */
  onProgress?: ((progress: Progress) => void) | undefined;
}

export interface SelectiveScanResult<T extends Tensor | FloatArray = Tensor | FloatArray> {
  /** As u. */
  out: T;
  /** With returnLastState: [batch, dim, dstate] or [sequences, dim, dstate], float32 or A's dtype. */
  lastState?: T extends Tensor ? Tensor : Float32Array;
  /** Where the scan ran. */
  device: string;
}

const required = ['u', 'delta', 'A', 'B', 'C'] as const;
const optional = ['D', 'z', 'deltaBias', 'initialState'] as const;
type Name = (typeof required)[number] | (typeof optional)[number];

// Inputs in the order of native/binding/selective_scan.cc.
const inputs = [...required, ...optional];
const known: ReadonlySet<string> = new Set<keyof SelectiveScanOptions>([
  ...inputs,
  ...(['cuSeqlens', 'deltaSoftplus', 'returnLastState', 'batchInvariant', 'layout', 'dims', 'out'] as const),
  ...(['complexA', 'constantB', 'constantC', 'device', 'stream'] as const),
]);
const knownOfPromise: ReadonlySet<string> = new Set([...known, 'signal', 'onProgress']);
const knownDims: ReadonlySet<string> = new Set<keyof SelectiveScanDims>([
  ...(['batch', 'dim', 'seqlen', 'dstate', 'groups'] as const),
]);

/** Read during the native call only. One for all of them: making one takes longer than a small call should. */
const nativeSizes = new Float64Array(9);

/**
 * Mamba's selective scan (Gu and Dao 2023, https://arxiv.org/abs/2312.00752, algorithm 2), with the semantics of
 * mamba_ssm's selective_scan_ref. For each batch entry b, channel d and step t, with dt = softplus(delta + deltaBias):
 *
 *     h[n] = exp(dt * A[d,n]) * h[n] + dt * B[n] * u
 *     out  = (sum_n C[n] * h[n] + D[d] * u) * silu(z)
 *
 * with twice the real part of the sum where A is complex. States and arithmetic are float32 (complex64) at least.
 *
 * Settles when the result is complete and never blocks the event loop. Typed arrays of 4 MB or less, all together, are
 * copied at the call; of more, in slices over turns of the event loop, and then they must not change until the promise
 * settles. On a GPU those of allocPinned() are read in place, and more than its memory holds goes through it in slices.
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_OUT_OF_MEMORY,
 * ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export async function selectiveScan<T extends Tensor | FloatArray>(
  options: SelectiveScanOptions<T>,
): Promise<SelectiveScanResult<T>> {
  const read = readOptions<SelectiveScanOptions>(options, knownOfPromise, 'options');
  const signal = checkSignal(read.signal);
  const onProgress = checkOnProgress(read.onProgress);
  const plan = prepare(read);
  return resultOf(await run(plan, signal, onProgress));
}

/**
 * The same, blocking: with typed arrays and on the CPU the result is complete when it returns; with tensors of a GPU the
 * work is only enqueued, and toArray() waits for it.
 */
export function selectiveScanSync<T extends Tensor | FloatArray>(
  options: Omit<SelectiveScanOptions<T>, 'signal' | 'onProgress'>,
): SelectiveScanResult<T> {
  const plan = prepare(readOptions<SelectiveScanOptions>(options, known, 'options'));
  return resultOf(runSync(plan));
}

function resultOf<T extends Tensor | FloatArray>({ outputs, device }: OpResult): SelectiveScanResult<T> {
  const [out, lastState] = outputs;
  return (lastState ? { out, lastState, device } : { out, device }) as SelectiveScanResult<T>;
}

function prepare(options: SelectiveScanOptions): OpRun<Name> {
  const operands = new Operands<Name>(options, inputs, required.length);
  const layout = checkLayout(options.layout);
  const isComplex = checkSaid('complexA', options.complexA, operands.dtype('A') === 'complex64', operands);
  const varies = (name: 'B' | 'C') =>
    !checkSaid(`constant${name}`, options[`constant${name}`], operands.dims(name)?.length === 2, operands);
  const variesB = varies('B');
  const variesC = varies('C');
  const sizes = readSizes(options.dims, operands, layout, variesB, variesC);
  const cuSeqlens = readCuSeqlens(options.cuSeqlens, sizes);
  const sequences = cuSeqlens ? cuSeqlens.length - 1 : sizes.batch;

  const { batch, dim, seqlen, dstate, groups } = sizes;
  const dtype = operands.floatDType('u');
  const stateDType: DType = isComplex ? 'complex64' : 'float32';
  const time: Axis = isComplex ? ['2 * seqlen', 2 * seqlen] : ['seqlen', seqlen];
  const channel: Axis = ['dim', dim];
  const constant: Spec = { axes: [channel, ['dstate', dstate]], dtype: stateDType };
  const activation: Spec = { axes: inLayout(layout, ['batch', batch], [channel], ['seqlen', seqlen]), dtype };
  const perChannel: Spec = { axes: [channel], dtype: 'float32' };
  const matrix = (name: 'B' | 'C', isVarying: boolean): Spec => {
    if (!isVarying) return constant;
    const perStep: Axis = layout === 'bld' && isComplex ? ['2 * dstate', 2 * dstate] : ['dstate', dstate];
    const inner: Axis[] = operands.dims(name)?.length === 3 && groups === 1 ? [perStep] : [['groups', groups], perStep];
    const axes = inLayout(layout, ['batch', batch], inner, layout === 'bdl' ? time : ['seqlen', seqlen]);
    return { axes, dtype };
  };
  const stateAxes: Axis[] = [[cuSeqlens ? 'sequences' : 'batch', sequences], channel, ['dstate', dstate]];
  const state: Spec = { axes: stateAxes, dtype: stateDType };

  operands.check('u', activation);
  operands.check('delta', activation);
  operands.check('A', constant);
  operands.check('B', matrix('B', variesB));
  operands.check('C', matrix('C', variesC));
  operands.check('D', perChannel);
  operands.check('z', activation);
  operands.check('deltaBias', perChannel);
  operands.check('initialState', state);

  const flags =
    (isComplex ? 1 : 0) |
    (variesB ? 2 : 0) |
    (variesC ? 4 : 0) |
    (checkFlag('deltaSoftplus', options.deltaSoftplus) ? 8 : 0) |
    (checkFlag('batchInvariant', options.batchInvariant) ? 16 : 0);
  const returnLastState = checkFlag('returnLastState', options.returnLastState);
  const starts = cuSeqlens && rawView(cuSeqlens);
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [activation, returnLastState ? state : undefined],
    out: readOut(options.out, operands, activation),
    launch: (native, queue, isPromise, arrays, control) => {
      const codes = [nativeCode[dtype], layout === 'bdl' ? 0 : 1, flags] as const;
      nativeSizes.set([batch, dim, seqlen, dstate, groups, sequences, ...codes]);
      return native.selectiveScan(queue, isPromise, nativeSizes, starts, control, ...arrays);
    },
  };
}

/** What an option says of typed arrays, tensors show themselves; of them the option may only say the same. */
function checkSaid(name: string, said: unknown, shown: boolean, operands: Operands<Name>): boolean {
  const flag = checkFlag(name, said);
  if (!operands.areTensors) return flag;
  if (said !== undefined && flag !== shown) {
    throw new SelectiveScanError(
      'ERR_SHAPE',
      `Expected ${name} to be ${shown}, as the tensor is, but received ${flag}.`,
    );
  }
  return shown;
}

type Sizes = Required<SelectiveScanDims>;

function readSizes(
  given: unknown,
  operands: Operands<Name>,
  layout: Layout,
  variesB: boolean,
  variesC: boolean,
): Sizes {
  return readDims(given === undefined && operands.areTensors ? shownSizes(operands, layout, variesB, variesC) : given);
}

export function readDims(dims: unknown): Sizes {
  const { groups = 1, ...read } = readOptions<SelectiveScanDims>(dims, knownDims, 'dims');
  const dim = checkSize('dims.dim', read.dim, 1);
  return {
    batch: checkSize('dims.batch', read.batch, 0),
    dim,
    seqlen: checkSize('dims.seqlen', read.seqlen, 1),
    dstate: checkSize('dims.dstate', read.dstate, 1),
    groups: checkGroups(checkSize('dims.groups', groups, 1), dim),
  };
}

/** The sizes that tensors show: u the first three, A the states, B or C the groups. */
function shownSizes(operands: Operands<Name>, layout: Layout, variesB: boolean, variesC: boolean): Sizes {
  const u = operands.dimsOfRank('u', layout === 'bdl' ? ['batch', 'dim', 'seqlen'] : ['batch', 'seqlen', 'dim']);
  const [, dstate] = operands.dimsOfRank('A', ['dim', 'dstate']);
  const groupsOf = (name: 'B' | 'C') => {
    if (operands.dims(name)?.length === 3) return 1;
    return layout === 'bdl'
      ? operands.dimsOfRank(name, ['batch', 'groups', 'dstate', 'seqlen'])[1]
      : operands.dimsOfRank(name, ['batch', 'seqlen', 'groups', 'dstate'])[2];
  };
  const groups = variesB ? groupsOf('B') : variesC ? groupsOf('C') : 1;
  const [batch, dim, seqlen] = layout === 'bdl' ? u : [u[0], u[2], u[1]];
  return { batch, dim, seqlen, dstate, groups } as Sizes;
}
