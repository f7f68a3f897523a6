import {
  type SelectiveStateUpdateOptions,
  type SelectiveStateUpdateResult,
  selectiveStateUpdate,
  selectiveStateUpdateSync,
  Tensor,
} from 'selective-scan';
import type { Form } from './call';
import { limitsOf, outBound, relativeError } from './closeness';
import { seeded } from './random';
import { type CaseSpec, randomCase } from './random-case';
import { referenceScan } from './reference';
import { type FloatType, roundTo } from './rounding';
import { cut, cutOut, type ScanCase } from './scan-case';

/** A scan over the tokens of a call, from states that are rows of a pool. */
export interface UpdateCase {
  scan: ScanCase;
  stateDType: FloatType;
  pool: Float64Array; // [slots, dim, dstate]
  slots: readonly number[] | undefined; // of each row; -1 for none
}

export interface UpdateSpec extends Partial<CaseSpec> {
  tokens?: number;
  stateDType?: FloatType;
  slots?: readonly number[];
  poolSize?: number;
}

/** What the call is given beside the problem. */
export interface UpdateCall {
  form?: Form;
  /** One token has no axis of tokens. */
  hasTokenAxis?: boolean;
  slotsAs?: 'array' | 'cpu' | 'device';
  returnStates?: boolean;
  batchInvariant?: boolean;
}

export interface UpdateResult {
  out: Float64Array;
  /** Undefined where they were not asked for. */
  states: Float64Array | undefined;
  pool: Float64Array;
}

export function updateCase({ tokens = 1, stateDType = 'float32', slots, poolSize, ...change }: UpdateSpec): UpdateCase {
  const scan = randomCase({ ...change, layout: 'bld', seqlen: tokens });
  const { dim, dstate, batch } = scan;
  const random = seeded(7);
  const size = dim * dstate;
  const pool = Float64Array.from({ length: (poolSize ?? batch) * size }, () => roundTo(stateDType, random.normal()));
  const initialState = new Float64Array(batch * size);
  for (let b = 0; b < batch; b++) {
    const slot = slots ? (slots[b] as number) : b;
    if (slot >= 0) initialState.set(pool.subarray(slot * size, (slot + 1) * size), b * size);
  }
  return { scan: { ...scan, initialState }, stateDType, pool, slots };
}

/** What the float64 reference gives: rows without a slot give 0, states without a row stay. */
export function expectedUpdate({ scan, pool, slots }: UpdateCase): UpdateResult & { states: Float64Array } {
  const { batch, dim, dstate, seqlen: tokens } = scan;
  const size = dim * dstate;
  const result = {
    out: new Float64Array(batch * tokens * dim),
    states: new Float64Array(batch * tokens * size),
    pool: Float64Array.from(pool),
  };
  for (let b = 0; b < batch; b++) {
    const slot = slots ? (slots[b] as number) : b;
    if (slot < 0) continue;
    const initialState = pool.slice(slot * size, (slot + 1) * size);
    for (let t = 0; t < tokens; t++) {
      const { out, lastState } = referenceScan(cut(scan, b, 0, t + 1, initialState));
      result.out.set(out.subarray(t * dim), (b * tokens + t) * dim);
      result.states.set(lastState, (b * tokens + t) * size);
      result.pool.set(lastState, slot * size);
    }
  }
  return result;
}

/** `slack`: how many times beyond its limit an output may be. */
export function updateComplaints(problem: UpdateCase, got: UpdateResult, slack = 1): string[] {
  const { scan, stateDType, slots } = problem;
  const want = expectedUpdate(problem);
  const limits = limitsOf(scan, referenceScan(scan));
  const stateLimit = Math.max(limits.lastState, stateDType === 'float32' ? 0 : outBound[stateDType]);
  const found = [
    ['out', relativeError(got.out, want.out), limits.out],
    ['states', got.states ? relativeError(got.states, want.states) : 0, stateLimit],
    ['pool', relativeError(got.pool, want.pool), stateLimit],
  ] as const;
  const size = scan.dim * scan.dstate;
  const touched = new Set(slots ?? Array.from({ length: scan.batch }, (_, b) => b));
  const strayed = got.pool.findIndex((h, i) => !touched.has(Math.floor(i / size)) && h !== problem.pool[i]);
  return [
    ...found.filter(([, error, limit]) => !(error <= slack * limit)).map((row) => row.join(' ')),
    ...(strayed >= 0 ? [`state ${strayed} of a slot that no row has was touched`] : []),
  ];
}

/** The operands as tensors on a device. */
export function updateOptions(
  { scan, stateDType, pool, slots }: UpdateCase,
  device: string,
  { hasTokenAxis = true, slotsAs = 'array', returnStates = true, batchInvariant }: UpdateCall = {},
): SelectiveStateUpdateOptions {
  const { batch, dim, dstate, groups, seqlen: tokens, dtype } = scan;
  const place = (host: Tensor, where: string): Tensor => {
    if (where === 'cpu') return host;
    const placed = host.toSync(where);
    host.dispose();
    return placed;
  };
  const tensor = (x: Float64Array, dims: number[], type: FloatType): Tensor =>
    place(Tensor.from(new Float32Array(x), dims, type), device);
  const lead = hasTokenAxis ? [batch, tokens] : [batch];
  const matrix = [...lead, ...(groups > 1 || scan.explicitGroups ? [groups] : []), dstate];
  const integers = slots && Int32Array.from(slots);
  const slotTensor = (where: string): Tensor => place(Tensor.from(integers as Int32Array, [batch]), where);
  return {
    state: tensor(pool, [pool.length / (dim * dstate), dim, dstate], stateDType),
    u: tensor(scan.u, [...lead, dim], dtype),
    delta: tensor(scan.delta, [...lead, dim], dtype),
    A: tensor(scan.A, [dim, dstate], 'float32'),
    B: tensor(scan.B, matrix, dtype),
    C: tensor(scan.C, matrix, dtype),
    ...(scan.D && { D: tensor(scan.D, [dim], 'float32') }),
    ...(scan.z && { z: tensor(scan.z, [...lead, dim], dtype) }),
    ...(scan.deltaBias && { deltaBias: tensor(scan.deltaBias, [dim], 'float32') }),
    ...(integers && { slots: slotsAs === 'array' ? integers : slotTensor(slotsAs === 'cpu' ? 'cpu' : device) }),
    deltaSoftplus: scan.deltaSoftplus,
    returnStates,
    batchInvariant,
  };
}

export async function callUpdate(problem: UpdateCase, device: string, call: UpdateCall = {}): Promise<UpdateResult> {
  const options = updateOptions(problem, device, call);
  const result: SelectiveStateUpdateResult =
    call.form === 'sync' ? selectiveStateUpdateSync(options) : await selectiveStateUpdate(options);
  const values = async (tensor: Tensor): Promise<Float64Array> => Float64Array.from(await tensor.toArray());
  const read = {
    out: await values(result.out),
    states: result.states && (await values(result.states)),
    pool: await values(options.state),
  };
  for (const value of [...Object.values(options), ...Object.values(result)]) {
    if (value instanceof Tensor) value.dispose();
  }
  return read;
}

/** One token of a problem, as a call without an axis of tokens. */
export function tokenOf({ scan, ...rest }: UpdateCase, t: number): UpdateCase {
  const rows = Array.from({ length: scan.batch }, (_, b) => cut(scan, b, t, t + 1));
  const join = (parts: Float64Array[]): Float64Array => Float64Array.from(parts.flatMap((part) => [...part]));
  const joined = {
    u: join(rows.map(({ u }) => u)),
    delta: join(rows.map(({ delta }) => delta)),
    B: join(rows.map(({ B }) => B)),
    C: join(rows.map(({ C }) => C)),
    ...(scan.z && { z: join(rows.map(({ z }) => z as Float64Array)) }),
  };
  return { ...rest, scan: { ...scan, ...joined, seqlen: 1 } };
}

/** The same token of the result of all. */
export function outOfToken(out: Float64Array, scan: ScanCase, t: number): Float64Array {
  return Float64Array.from(Array.from({ length: scan.batch }, (_, b) => [...cutOut(out, scan, b, t, t + 1)]).flat());
}
