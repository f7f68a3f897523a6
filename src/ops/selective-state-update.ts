import { type Axis, checkFlag, checkGroups, checkSize, readOptions } from '../check.js';
import { nativeCode } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { rawView } from '../host-array.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import type { Tensor } from '../tensor.js';
import { checkSlots, readHostSlots } from './host-integers.js';
import { Operands, requireTensor, type Spec } from './operands.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

/** Arguments of the update. Its arrays are Tensors of one device; without the axis `tokens` a call is of one token. */
export interface SelectiveStateUpdateOptions {
  /** States, [slots, dim, dstate], float32, float16 or bfloat16. Updated in place. */
  state: Tensor;
  /** Input, [batch, dim] or [batch, tokens, dim], float32, float16 or bfloat16. (mamba_ssm calls it x.) */
  u: Tensor;
  /** Step sizes before bias and softplus, as u. */
  delta: Tensor;
  /** State matrix's diagonal, [dim, dstate], float32. */
  A: Tensor;
  /** Input matrix, [batch, dstate] or [batch, groups, dstate], with tokens [batch, tokens, ...], of u's dtype. */
  B: Tensor;
  /** Output matrix, as B. */
  C: Tensor;
  /** Skip connection, [dim], float32. */
  D?: Tensor | undefined;
  /** Gate: the output is multiplied by silu(z). As u. */
  z?: Tensor | undefined;
  /** Added to delta before softplus, [dim], float32. */
  deltaBias?: Tensor | undefined;
  /**
   * Which slot of the state each row of the batch has, [batch], int32; by default row b has slot b. A row whose slot is
   * -1 is left out: its out is 0 and it touches no state. An Int32Array or a CPU tensor is checked at the call. A
   * tensor on the GPU, where the state is, is not read by the host: a row whose slot does not exist gets NaN for out
   * and touches no state, and that no slot is named twice is up to the caller.
   */
  slots?: Int32Array | Tensor | undefined;
  /** Apply softplus to delta. Default false. */
  deltaSoftplus?: boolean | undefined;
  /**
   * The same row and state then give the same bits in any batch, at any place in it and in any slot. They do without it
   * too: every kernel of the update adds up in one order. Default false.
   */
  batchInvariant?: boolean | undefined;
  /** Also return the state after each token. Default false. */
  returnStates?: boolean | undefined;
  /** May only name the device where the tensors are. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED, and no state is touched, unless the update has begun by then. */
  signal?: AbortSignal | undefined;
}

export interface SelectiveStateUpdateResult {
  /** As u. */
  out: Tensor;
  /** With returnStates: [batch, tokens, dim, dstate], of the state's dtype. */
  states?: Tensor;
  /** Where the update ran. */
  device: string;
}

const required = ['state', 'u', 'delta', 'A', 'B', 'C'] as const;
const optional = ['D', 'z', 'deltaBias', 'slots'] as const;
type Name = (typeof required)[number] | (typeof optional)[number];

// Inputs in the order of native/binding/selective_state_update.cc.
const inputs = [...required, ...optional];
const known: ReadonlySet<string> = new Set<keyof SelectiveStateUpdateOptions>([
  ...inputs,
  ...(['deltaSoftplus', 'batchInvariant', 'returnStates', 'device', 'stream'] as const),
]);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** Read during the native call only. One for all of them: making one takes longer than a small call should. */
const nativeSizes = new Float64Array(9);

/**
 * One token of Mamba's selective scan, or a few, from and into states that are updated in place: a decode step, with the
 * semantics of mamba_ssm's selective_state_update. For each row b of the batch, channel d and token, with
 * dt = softplus(delta + deltaBias) and h the state in the row's slot:
 *
 *     h[n] = exp(dt * A[d,n]) * h[n] + dt * B[n] * u
 *     out  = (sum_n C[n] * h[n] + D[d] * u) * silu(z)
 *
 * The state is float32 within a call, and rounded to its dtype when it is stored, after the last token. Calls on one
 * device run in the order in which they were made, whichever their form.
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_UNSUPPORTED (a
 * complex A), ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export async function selectiveStateUpdate(options: SelectiveStateUpdateOptions): Promise<SelectiveStateUpdateResult> {
  const read = readOptions<SelectiveStateUpdateOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  const plan = prepare(read);
  return resultOf(await run(plan, signal));
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function selectiveStateUpdateSync(
  options: Omit<SelectiveStateUpdateOptions, 'signal'>,
): SelectiveStateUpdateResult {
  const plan = prepare(readOptions<SelectiveStateUpdateOptions>(options, known, 'options'));
  return resultOf(runSync(plan));
}

function resultOf({ outputs, device }: OpResult): SelectiveStateUpdateResult {
  const [out, states] = outputs as [Tensor, Tensor | undefined];
  return states ? { out, states, device } : { out, device };
}

/** `options` are a copy that nobody else has. */
function prepare(options: SelectiveStateUpdateOptions): OpRun<Name> {
  requireTensor('state', options.state, ', whose memory is updated in place,');
  const hasSlots = options.slots !== undefined;
  const hostSlots = readHostSlots(options.slots);
  if (hostSlots) options.slots = undefined; // not an array of the device's
  const operands = new Operands<Name>(options, inputs, required.length);
  operands.refuseAliasesOf('state');
  const { batch, tokens, dim, dstate, groups, slots } = readSizes(operands, hasSlots);

  const steps: Axis[] =
    operands.dims('u')?.length === 2
      ? [['batch', batch]]
      : [
          ['batch', batch],
          ['tokens', tokens],
        ];
  const channel: Axis = ['dim', dim];
  const stateAxes: Axis[] = [channel, ['dstate', dstate]];
  const dtype = operands.floatDType('u');
  const stateDType = operands.floatDType('state');
  if (operands.dtype('A') === 'complex64') {
    throw new SelectiveScanError('ERR_UNSUPPORTED', 'Expected A to be real: selectiveStateUpdate has no complex A.');
  }
  const activation: Spec = { axes: [...steps, channel], dtype };
  const perChannel: Spec = { axes: [channel], dtype: 'float32' };
  const matrix = (name: 'B' | 'C'): Spec => {
    const hasGroups = groups > 1 || operands.dims(name)?.length === steps.length + 2;
    const state: Axis = ['dstate', dstate];
    return { axes: hasGroups ? [...steps, ['groups', groups], state] : [...steps, state], dtype };
  };

  operands.check('state', { axes: [[hasSlots ? 'slots' : 'batch', slots], ...stateAxes], dtype: stateDType });
  operands.check('u', activation);
  operands.check('delta', activation);
  operands.check('A', { axes: stateAxes, dtype: 'float32' });
  operands.check('B', matrix('B'));
  operands.check('C', matrix('C'));
  operands.check('D', perChannel);
  operands.check('z', activation);
  operands.check('deltaBias', perChannel);
  operands.check('slots', { axes: [['batch', batch]], dtype: 'int32' });
  if (hostSlots) checkSlots(hostSlots, batch, slots);

  checkFlag('batchInvariant', options.batchInvariant);
  const softplus = checkFlag('deltaSoftplus', options.deltaSoftplus) ? 1 : 0;
  const states: Spec = { axes: [['batch', batch], ['tokens', tokens], ...stateAxes], dtype: stateDType };
  const rawSlots = hostSlots && rawView(hostSlots);
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [activation, checkFlag('returnStates', options.returnStates) ? states : undefined],
    launch: (native, queue, isPromise, arrays, control) => {
      const codes = [nativeCode[dtype], nativeCode[stateDType], softplus] as const;
      nativeSizes.set([batch, tokens, dim, dstate, groups, slots, ...codes]);
      return native.selectiveStateUpdate(queue, isPromise, nativeSizes, rawSlots, control, ...arrays);
    },
  };
}

/** Sizes as state, u and B show them. Without slots the state has one row for each of the batch. */
function readSizes(operands: Operands<Name>, hasSlots: boolean) {
  const [rows, channels, states] = operands.dimsOfRank('state', [hasSlots ? 'slots' : 'batch', 'dim', 'dstate']);
  const u = operands.dimsOfRank('u', ['batch', 'dim'], ['batch', 'tokens', 'dim']);
  const B =
    u.length === 2
      ? operands.dimsOfRank('B', ['batch', 'dstate'], ['batch', 'groups', 'dstate'])
      : operands.dimsOfRank('B', ['batch', 'tokens', 'dstate'], ['batch', 'tokens', 'groups', 'dstate']);
  const batch = u[0] as number;
  const dim = checkSize('dim', channels, 1);
  return {
    batch,
    tokens: checkSize('tokens', u.length === 2 ? 1 : u[1], 1),
    dim,
    dstate: checkSize('dstate', states, 1),
    groups: checkGroups(checkSize('groups', B.length === u.length ? 1 : B.at(-2), 1), dim),
    slots: hasSlots ? (rows as number) : batch,
  };
}
