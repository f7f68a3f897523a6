import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenFolder } from './files';
import type { ScanOutputs } from './reference';
import { readSafetensors, type StoredTensor } from './safetensors';
import type { ScanCase } from './scan-case';

export interface GoldenCase {
  name: string;
  problem: ScanCase;
  want: ScanOutputs; // computed in float64 by mamba_ssm's selective_scan_ref, stored as float32
}

interface GoldenOptions {
  groups?: number;
  dtype?: 'bf16' | 'f16';
  softplus?: boolean;
  B?: 'const';
  C?: 'const';
  complex?: boolean;
  four_d?: boolean;
  cu_seqlens?: number[];
}

const index: Record<string, GoldenOptions> = JSON.parse(readFileSync(join(goldenFolder, 'cases.json'), 'utf8'));

export const goldenNames = Object.keys(index);

export function goldenCase(name: string): GoldenCase {
  const options = index[name] as GoldenOptions;
  const stored = readSafetensors(join(goldenFolder, `${name}.safetensors`));
  return {
    name,
    problem: problemOf(stored, options, 'in.'),
    want: valuesOf(stored, 'ref.'),
  };
}

/** The operands of a file whose tensors are named as mamba_ssm names them, in its layout. */
export function problemOf(stored: Record<string, StoredTensor>, options: GoldenOptions, prefix = ''): ScanCase {
  const tensor = (name: string): StoredTensor | undefined => stored[prefix + name];
  const values = (name: string): Float64Array => (tensor(name) as StoredTensor).values;
  const optional = (key: string, name: string) => tensor(name) && { [key]: values(name) };
  const [batch, dim, seqlen] = (tensor('u') as StoredTensor).shape as [number, number, number];
  const dstate = (tensor('A') as StoredTensor).shape[1] as number;
  return {
    batch,
    dim,
    seqlen,
    dstate,
    groups: options.groups ?? 1,
    dtype: options.dtype === 'bf16' ? 'bfloat16' : options.dtype === 'f16' ? 'float16' : 'float32',
    layout: 'bdl',
    complex: options.complex ?? false,
    constantB: options.B === 'const',
    constantC: options.C === 'const',
    explicitGroups: options.four_d ?? false,
    deltaSoftplus: options.softplus ?? false,
    u: values('u'),
    delta: values('delta'),
    A: values('A'),
    B: values('B'),
    C: values('C'),
    ...optional('D', 'D'),
    ...optional('z', 'z'),
    ...optional('deltaBias', 'delta_bias'),
    ...optional('initialState', 'initial_state'),
    ...(options.cu_seqlens && { cuSeqlens: options.cu_seqlens }),
  };
}

export function valuesOf(stored: Record<string, StoredTensor>, prefix = ''): ScanOutputs {
  return {
    out: (stored[`${prefix}out`] as StoredTensor).values,
    lastState: (stored[`${prefix}last_state`] as StoredTensor).values,
  };
}
