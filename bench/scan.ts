import { type Roofs, selectiveScanSync } from 'selective-scan';
import { disposeInputs, makeInputs, type ScanShape, workOf } from './inputs';
import { type Columns, percent } from './table';
import { medianSeconds, setsBeyondCache } from './timing';

export interface ScanRow extends ScanShape {
  readonly threads?: number;
  readonly microseconds: number;
  readonly elementsPerSecond: number;
  /** Fractions of the measured ceilings, on a GPU. */
  readonly functionRoof?: number;
  readonly memoryRoof?: number;
}

const base = { dstate: 16, dtype: 'bfloat16', layout: 'bdl', z: true } as const;
const shape = (batch: number, dim: number, seqlen: number, change: Partial<ScanShape> = {}): ScanShape => ({
  ...base,
  batch,
  dim,
  seqlen,
  ...change,
});

/** Shapes of published models: many rows, then one change at a time, then few rows and long sequences. */
const cudaShapes: readonly ScanShape[] = [
  shape(64, 1536, 2048),
  shape(16, 8192, 4096),
  shape(16, 8192, 4096, { layout: 'bld' }),
  shape(64, 5120, 512),
  shape(256, 1536, 128),
  shape(8, 5120, 2048),
  shape(8, 5120, 2048, { layout: 'bld' }),
  shape(8, 5120, 2048, { dtype: 'float32' }),
  shape(8, 5120, 2048, { dtype: 'float32', layout: 'bld' }),
  shape(8, 5120, 2048, { dtype: 'float16' }),
  shape(8, 5120, 2048, { z: false }),
  shape(8, 5120, 2048, { dstate: 64 }),
  shape(8, 5120, 1000),
  shape(8, 5120, 2047),
  shape(8, 1536, 2048),
  shape(1, 5120, 2048),
  shape(1, 5120, 2048, { layout: 'bld' }),
  shape(1, 5120, 2048, { dstate: 128 }),
  shape(1, 5120, 32768),
  shape(1, 1536, 512),
  shape(1, 1536, 2048),
  shape(1, 1536, 2048, { layout: 'bld' }),
  shape(1, 1536, 2047),
  shape(1, 1536, 16384),
  shape(1, 1536, 65536),
  shape(1, 1536, 1048576),
];

const cpuShapes: readonly ScanShape[] = [
  shape(1, 1536, 2048, { dtype: 'float32' }),
  shape(1, 1536, 2048, { dtype: 'float32', layout: 'bld' }),
  shape(1, 1536, 2048, { dtype: 'float32', z: false }),
  shape(1, 1536, 2048, { dtype: 'bfloat16' }),
  shape(1, 1536, 2048, { dtype: 'float16' }),
  shape(1, 256, 2048, { dtype: 'float32', dstate: 64 }),
  shape(1, 16, 65536, { dtype: 'float32' }),
];

export function measureScans(device: string, threads: number | undefined, roofs: Roofs | undefined): ScanRow[] {
  return (device === 'cpu' ? cpuShapes : cudaShapes).map((each) => {
    const seconds = secondsOf(each, device);
    const { elements, bytes, functions } = workOf(each);
    return {
      ...each,
      ...(threads !== undefined && { threads }),
      microseconds: 1e6 * seconds,
      elementsPerSecond: elements / seconds,
      ...(roofs && {
        functionRoof: functions / seconds / roofs.exponentialsPerSecond,
        memoryRoof: bytes / seconds / roofs.bytesPerSecond,
      }),
    };
  });
}

function secondsOf(each: ScanShape, device: string): number {
  const count = setsBeyondCache(device, workOf(each).bytes, 8);
  const sets = Array.from({ length: count }, () => makeInputs(each, device));
  const seconds = medianSeconds(device, sets, (inputs) => {
    selectiveScanSync({ ...inputs, layout: each.layout, deltaSoftplus: true }).out.dispose();
  });
  for (const inputs of sets) disposeInputs(inputs);
  return seconds;
}

/** What a table shows of a row. */
export function scanColumns(row: ScanRow): Columns {
  return {
    '(batch, dim, seqlen)': `${row.batch}, ${row.dim}, ${row.seqlen}`,
    dstate: row.dstate,
    dtype: row.dtype,
    layout: row.layout,
    z: row.z ? 'z' : '',
    threads: row.threads,
    us: row.microseconds.toFixed(1),
    'elements/s': row.elementsPerSecond.toExponential(2),
    'special functions': percent(row.functionRoof),
    memory: percent(row.memoryRoof),
  };
}
