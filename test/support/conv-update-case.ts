import { type CausalConv1dUpdateOptions, causalConv1dUpdate, causalConv1dUpdateSync, Tensor } from 'selective-scan';
import type { Form } from './call';
import { relativeError } from './closeness';
import {
  type ConvCase,
  type ConvSpec,
  convCase,
  convLimit,
  convOptions,
  convStateOf,
  disposeTensors,
  place,
  referenceConv,
} from './conv-case';
import { seeded } from './random';
import { roundTo } from './rounding';

/** The tokens of each row are a sequence whose initial state is a row of a pool. */
export interface ConvUpdateCase {
  conv: ConvCase;
  pool: Float64Array; // [slots, dim, width - 1]
  slots: readonly number[] | undefined; // of each row; -1 for none
}

export interface ConvUpdateSpec extends ConvSpec {
  tokens?: number;
  slots?: readonly number[];
  poolSize?: number;
}

export interface ConvUpdateCall {
  form?: Form;
  hasTokenAxis?: boolean;
  slotsAs?: 'array' | 'cpu' | 'device';
}

export interface ConvUpdateResult {
  out: Float64Array;
  pool: Float64Array;
}

export function convUpdateCase({ tokens = 1, slots, poolSize, ...spec }: ConvUpdateSpec): ConvUpdateCase {
  const conv = convCase({ ...spec, seqlen: tokens, layout: 'bld' });
  const random = seeded(spec.seed ?? 11);
  const size = conv.dim * (conv.width - 1);
  const length = (poolSize ?? conv.batch) * size;
  const pool = Float64Array.from({ length }, () => roundTo(conv.dtype, random.normal()));
  const initialState = new Float64Array(conv.batch * size);
  for (let b = 0; b < conv.batch; b++) {
    const slot = slots ? (slots[b] as number) : b;
    if (slot >= 0) initialState.set(convStateOf(conv, pool, slot), b * size);
  }
  return { conv: { ...conv, initialState }, pool, slots };
}

/** Rows without a slot give 0, states without a row stay. */
export function expectedConvUpdate({ conv, pool, slots }: ConvUpdateCase): ConvUpdateResult {
  const { out, finalState } = referenceConv(conv);
  const size = conv.dim * (conv.width - 1);
  const result = { out, pool: Float64Array.from(pool) };
  for (let b = 0; b < conv.batch; b++) {
    const slot = slots ? (slots[b] as number) : b;
    if (slot >= 0) result.pool.set(convStateOf(conv, finalState, b), slot * size);
    else out.fill(0, b * conv.seqlen * conv.dim, (b + 1) * conv.seqlen * conv.dim);
  }
  return result;
}

export function convUpdateComplaints(problem: ConvUpdateCase, got: ConvUpdateResult, slack = 1): string[] {
  const want = expectedConvUpdate(problem);
  const limit = slack * convLimit(problem.conv, referenceConv(problem.conv));
  const error = relativeError(got.out, want.out);
  const zeros = want.out.findIndex((y, i) => y === 0 && got.out[i] !== 0);
  const wrong = want.pool.findIndex((x, i) => got.pool[i] !== x);
  return [
    ...(error <= limit ? [] : [`out: error ${error} above ${limit}`]),
    ...(zeros < 0 ? [] : [`out: not 0 at ${zeros}`]),
    ...(wrong < 0 ? [] : [`state: wrong at ${wrong}`]),
  ];
}

export function convUpdateOptions(
  { conv, pool, slots }: ConvUpdateCase,
  device: string,
  call: ConvUpdateCall = {},
): CausalConv1dUpdateOptions {
  const { batch, dim, seqlen: tokens, width, dtype } = conv;
  const { hasTokenAxis = true, slotsAs = 'array' } = call;
  const { initialState, returnFinalState: _, layout: __, ...rest } = convOptions(conv, device);
  initialState?.dispose();
  rest.x.dispose();
  const integers = slots && Int32Array.from(slots);
  const slotTensor = (): Tensor => {
    const host = Tensor.from(integers as Int32Array, [batch]);
    return slotsAs === 'cpu' || device === 'cpu' ? host : host.toSync(device);
  };
  return {
    ...rest,
    state: place(pool, [pool.length / (dim * (width - 1)), dim, width - 1], dtype, device),
    x: place(conv.x, hasTokenAxis ? [batch, tokens, dim] : [batch, dim], dtype, device),
    ...(integers && { slots: slotsAs === 'array' ? integers : slotTensor() }),
  };
}

export async function callConvUpdate(
  problem: ConvUpdateCase,
  device: string,
  call: ConvUpdateCall = {},
): Promise<ConvUpdateResult> {
  const options = convUpdateOptions(problem, device, call);
  const result = call.form === 'sync' ? causalConv1dUpdateSync(options) : await causalConv1dUpdate(options);
  const out = Float64Array.from(await result.out.toArray());
  const pool = Float64Array.from(await options.state.toArray());
  disposeTensors(options);
  disposeTensors(result);
  return { out, pool };
}
