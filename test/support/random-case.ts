import { seeded } from './random';
import { roundTo } from './rounding';
import type { ScanCase } from './scan-case';

/** What a random problem is to look like; what is left out is as in `plainSpec`. */
export interface CaseSpec {
  batch: number;
  dim: number;
  seqlen: number;
  dstate: number;
  groups: number;
  dtype: ScanCase['dtype'];
  layout: ScanCase['layout'];
  complex: boolean;
  constantB: boolean;
  constantC: boolean;
  explicitGroups: boolean;
  deltaSoftplus: boolean;
  D: boolean;
  z: boolean;
  deltaBias: boolean;
  initialState: boolean;
  cuSeqlens: readonly number[] | undefined;
  deltaRange: readonly [number, number];
  seed: number;
}

export const plainSpec: CaseSpec = {
  batch: 2,
  dim: 33,
  seqlen: 65,
  dstate: 16,
  groups: 1,
  dtype: 'float32',
  layout: 'bdl',
  complex: false,
  constantB: false,
  constantC: false,
  explicitGroups: false,
  deltaSoftplus: true,
  D: true,
  z: true,
  deltaBias: true,
  initialState: false,
  cuSeqlens: undefined,
  deltaRange: [0, 0.5],
  seed: 1,
};

/** Fills a problem with numbers that its dtypes hold exactly. */
export function randomCase(change: Partial<CaseSpec> = {}): ScanCase {
  const spec = { ...plainSpec, ...change };
  const { batch, dim, seqlen, dstate, groups, dtype, complex } = spec;
  const random = seeded(spec.seed);
  const width = complex ? 2 : 1;
  const fill = (length: number, type: ScanCase['dtype'], draw: (i: number) => number): Float64Array =>
    Float64Array.from({ length }, (_, i) => roundTo(type, draw(i)));
  const isImaginary = (i: number): boolean => complex && i % 2 === 1;

  const steps = batch * dim * seqlen;
  const varying = batch * groups * dstate * seqlen * width;
  const perChannel = dim * dstate * width;
  const sequences = spec.cuSeqlens ? spec.cuSeqlens.length - 1 : batch;
  const operandB = (constant: boolean): Float64Array =>
    constant ? fill(perChannel, 'float32', random.normal) : fill(varying, dtype, random.normal);

  return {
    batch,
    dim,
    seqlen,
    dstate,
    groups,
    dtype,
    layout: spec.layout,
    complex,
    constantB: spec.constantB,
    constantC: spec.constantC,
    explicitGroups: spec.explicitGroups,
    deltaSoftplus: spec.deltaSoftplus,
    u: fill(steps, dtype, random.normal),
    delta: fill(steps, dtype, () => random.uniform(...spec.deltaRange)),
    // Decay rates over two decades, so that some states forget in a step and some remember thousands.
    A: fill(perChannel, 'float32', (i) =>
      isImaginary(i) ? random.uniform(-2, 2) : -Math.exp(random.uniform(-3, 1.5)),
    ),
    B: operandB(spec.constantB),
    C: operandB(spec.constantC),
    ...(spec.D && { D: fill(dim, 'float32', random.normal) }),
    ...(spec.z && { z: fill(steps, dtype, random.normal) }),
    ...(spec.deltaBias && { deltaBias: fill(dim, 'float32', () => random.uniform(0, 0.5)) }),
    ...(spec.initialState && { initialState: fill(sequences * perChannel, 'float32', random.normal) }),
    ...(spec.cuSeqlens && { cuSeqlens: spec.cuSeqlens }),
  };
}
