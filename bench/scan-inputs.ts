import { type SelectiveScanOptions, scanKernel, type Tensor } from 'selective-scan';
import { deltaBias, randomTensor, stateMatrix } from './inputs';
import { packedStarts, type ScanShape } from './scan-shapes';

type Name = 'u' | 'delta' | 'A' | 'B' | 'C' | 'D' | 'deltaBias';
export type ScanTensors = Record<Name, Tensor> & Partial<Record<'z' | 'initialState', Tensor>>;

/** Arrays as a Mamba layer has them. u, delta and z hold the same random numbers. */
export function makeTensors(shape: ScanShape, device: string): ScanTensors {
  const { batch, dim, seqlen, dstate, dtype, layout, z, case: special = {} } = shape;
  const { groups = 1, complexA, constantB, constantC, states } = special;
  const parts = complexA ? 2 : 1;
  const matrix = (isConstant: boolean | undefined) => {
    if (isConstant) return stateMatrix(device, dim, dstate, complexA);
    const group = groups > 1 ? [groups] : [];
    const dims =
      layout === 'bdl' ? [batch, ...group, dstate, parts * seqlen] : [batch, seqlen, ...group, parts * dstate];
    return randomTensor(device, dims, dtype);
  };
  const u = randomTensor(device, layout === 'bdl' ? [batch, dim, seqlen] : [batch, seqlen, dim], dtype);
  return {
    u,
    delta: u.toSync(device),
    A: stateMatrix(device, dim, dstate, complexA),
    B: matrix(constantB),
    C: matrix(constantC),
    D: randomTensor(device, [dim], 'float32'),
    deltaBias: deltaBias(device, dim),
    ...(z && { z: u.toSync(device) }),
    ...(states && { initialState: randomTensor(device, [batch, dim, dstate], 'float32') }),
  };
}

/** The options of a call that are no arrays of the device. */
export function callOptions({
  layout,
  case: { states, sequences, batchInvariant } = {},
}: ScanShape): Partial<SelectiveScanOptions<Tensor>> {
  return {
    layout,
    deltaSoftplus: true,
    batchInvariant,
    ...(states && { returnLastState: true }),
    ...(sequences && { cuSeqlens: packedStarts(sequences) }),
  };
}

export function kernelOf(shape: ScanShape, device: string): string {
  const { batch, dim, seqlen, dstate, dtype, layout, z, case: special = {} } = shape;
  const { groups = 1, complexA, constantB, constantC, sequences, batchInvariant } = special;
  return scanKernel({
    ...{ device, dtype, layout, z, complexA, constantB, constantC, batchInvariant },
    dims: { batch, dim, seqlen, dstate, groups },
    cuSeqlens: sequences ? packedStarts(sequences) : undefined,
  });
}
