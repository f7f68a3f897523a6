import type { FloatType } from './rounding';

/** One problem: sizes, options and operands as float64 values that the operands' dtypes can hold exactly. */
export interface ScanCase {
  batch: number;
  dim: number;
  seqlen: number;
  dstate: number;
  groups: number;
  dtype: FloatType;
  layout: 'bdl' | 'bld';
  complex: boolean; // A, constant B and C and the states are pairs; varying B and C hold adjacent pairs
  constantB: boolean;
  constantC: boolean;
  explicitGroups: boolean; // B and C have a group axis even where groups is 1
  deltaSoftplus: boolean;
  u: Float64Array;
  delta: Float64Array;
  A: Float64Array;
  B: Float64Array;
  C: Float64Array;
  D?: Float64Array;
  z?: Float64Array;
  deltaBias?: Float64Array;
  initialState?: Float64Array;
  cuSeqlens?: readonly number[];
}

type Sizes = Pick<ScanCase, 'batch' | 'dim' | 'seqlen' | 'dstate' | 'groups' | 'layout'>;

/** Where an element lies. Of a complex operand these count pairs. */
export function indexing({ dim, seqlen, dstate, groups, layout }: Sizes) {
  const bdl = layout === 'bdl';
  return {
    /** u, delta, z and out: [batch, dim, seqlen] or [batch, seqlen, dim]. */
    sequence: (b: number, d: number, t: number): number =>
      bdl ? (b * dim + d) * seqlen + t : (b * seqlen + t) * dim + d,
    /** Varying B and C: [batch, groups, dstate, seqlen] or [batch, seqlen, groups, dstate]. */
    varying: (b: number, g: number, n: number, t: number): number =>
      bdl ? ((b * groups + g) * dstate + n) * seqlen + t : ((b * seqlen + t) * groups + g) * dstate + n,
    /** A, constant B and C: [dim, dstate]. */
    constant: (d: number, n: number): number => d * dstate + n,
    /** Initial and last state: [sequences, dim, dstate]. */
    state: (s: number, d: number, n: number): number => (s * dim + d) * dstate + n,
  };
}

/** The sequences a call consists of: one a batch entry, or the packed ones. */
export function sequencesOf(c: ScanCase): { b: number; from: number; to: number }[] {
  if (c.cuSeqlens === undefined) {
    return Array.from({ length: c.batch }, (_, b) => ({ b, from: 0, to: c.seqlen }));
  }
  return c.cuSeqlens.slice(1).map((to, s) => ({ b: 0, from: c.cuSeqlens?.[s] as number, to }));
}

/** Where in the original the step (b, t) of a rearranged problem comes from. */
type Origin = (b: number, t: number) => { b: number; t: number };

/** The same problem in the other order of axes. */
export function toLayout(c: ScanCase, layout: ScanCase['layout']): ScanCase {
  return rearrange(c, { layout }, (b, t) => ({ b, t }));
}

/** u, delta, z or out of a problem, in another order of axes. */
export function sequenceToLayout(x: Float64Array, c: Sizes, layout: ScanCase['layout']): Float64Array {
  return rearrangeSequence(x, c, { ...c, layout }, (b, t) => ({ b, t }));
}

/** Some steps of one batch entry as a problem of their own. */
export function cut(c: ScanCase, b: number, from: number, to: number, initialState?: Float64Array): ScanCase {
  const { initialState: _, cuSeqlens: __, ...rest } = c;
  const piece = rearrange(rest, { batch: 1, seqlen: to - from }, (_b, t) => ({ b, t: from + t }));
  return { ...piece, ...(initialState && { initialState }) };
}

/** The same steps of the result of the whole. */
export function cutOut(out: Float64Array, c: ScanCase, b: number, from: number, to: number): Float64Array {
  return rearrangeSequence(out, c, { ...c, batch: 1, seqlen: to - from }, (_b, t) => ({ b, t: from + t }));
}

function rearrange(c: ScanCase, change: Partial<Sizes>, origin: Origin): ScanCase {
  const target = { ...c, ...change };
  const sequence = (x: Float64Array): Float64Array => rearrangeSequence(x, c, target, origin);
  const varying = (x: Float64Array): Float64Array => rearrangeVarying(x, c, target, origin);
  return {
    ...target,
    u: sequence(c.u),
    delta: sequence(c.delta),
    B: c.constantB ? c.B : varying(c.B),
    C: c.constantC ? c.C : varying(c.C),
    ...(c.z && { z: sequence(c.z) }),
  };
}

function rearrangeSequence(x: Float64Array, from: Sizes, to: Sizes, origin: Origin): Float64Array {
  const [source, target] = [indexing(from).sequence, indexing(to).sequence];
  const y = new Float64Array(to.batch * to.dim * to.seqlen);
  for (let b = 0; b < to.batch; b++) {
    for (let t = 0; t < to.seqlen; t++) {
      const at = origin(b, t);
      for (let d = 0; d < to.dim; d++) y[target(b, d, t)] = x[source(at.b, d, at.t)] as number;
    }
  }
  return y;
}

function rearrangeVarying(x: Float64Array, from: ScanCase, to: ScanCase, origin: Origin): Float64Array {
  const [source, target] = [indexing(from).varying, indexing(to).varying];
  const width = from.complex ? 2 : 1;
  const y = new Float64Array(to.batch * to.groups * to.dstate * to.seqlen * width);
  for (let b = 0; b < to.batch; b++) {
    for (let t = 0; t < to.seqlen; t++) {
      const at = origin(b, t);
      for (let g = 0; g < to.groups; g++) {
        for (let n = 0; n < to.dstate; n++) {
          const [i, j] = [source(at.b, g, n, at.t) * width, target(b, g, n, t) * width];
          y.set(x.subarray(i, i + width), j);
        }
      }
    }
  }
  return y;
}
