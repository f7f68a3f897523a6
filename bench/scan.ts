import { measureRoofs, type Roofs, selectiveScanSync, synchronizeSync } from 'selective-scan';
import { disposeInputs, makeInputs, type ScanInputs, type ScanShape, workOf } from './inputs';

export interface Row extends ScanShape {
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
export const cudaShapes: readonly ScanShape[] = [
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

export const cpuShapes: readonly ScanShape[] = [
  shape(1, 1536, 2048, { dtype: 'float32' }),
  shape(1, 1536, 2048, { dtype: 'float32', layout: 'bld' }),
  shape(1, 1536, 2048, { dtype: 'float32', z: false }),
  shape(1, 1536, 2048, { dtype: 'bfloat16' }),
  shape(1, 1536, 2048, { dtype: 'float16' }),
  shape(1, 256, 2048, { dtype: 'float32', dstate: 64 }),
  shape(1, 16, 65536, { dtype: 'float32' }),
];

export async function measureScans(
  shapes: readonly ScanShape[],
  device: string,
  threads: number | undefined,
): Promise<{ roofs: Roofs | undefined; rows: Row[] }> {
  const roofs = device === 'cpu' ? undefined : await measureRoofs(device);
  const rows = shapes.map((each) => {
    const seconds = medianSeconds(each, device);
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
  return { roofs, rows };
}

/** Of a GPU: calls enqueued back to back, so that a call's time is its kernels' and not the launch's. */
function medianSeconds(each: ScanShape, device: string): number {
  const sets = inputSets(each, device);
  let turn = 0;
  const run = (calls: number): number => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) {
      const inputs = sets[turn++ % sets.length] as ScanInputs;
      selectiveScanSync({ ...inputs, layout: each.layout, deltaSoftplus: true }).out.dispose();
    }
    synchronizeSync(device);
    return Number(process.hrtime.bigint() - start) / 1e9 / calls;
  };
  run(sets.length);
  const calls = Math.max(1, Math.ceil((device === 'cpu' ? 0.1 : 0.02) / run(1)));
  const times = Array.from({ length: device === 'cpu' ? 5 : 15 }, () => run(calls)).sort((a, b) => a - b);
  for (const inputs of sets) disposeInputs(inputs);
  return times[times.length >> 1] as number;
}

/** As many sets of inputs as it takes that none is still in a GPU's second-level cache when its turn comes again. */
function inputSets(each: ScanShape, device: string): ScanInputs[] {
  const cacheBytes = device === 'cpu' ? 0 : 64 * 2 ** 20;
  const count = Math.min(8, 1 + Math.ceil((2 * cacheBytes) / workOf(each).bytes));
  return Array.from({ length: device === 'cpu' ? 1 : count }, () => makeInputs(each, device));
}
