import { type Roofs, selectiveStateUpdateSync, type Tensor } from 'selective-scan';
import { copies, deltaBias, dispose, type FloatType, randomTensor, stateMatrix } from './inputs';
import { type Columns, percent } from './table';
import { isLaunchBound, type Microseconds, microseconds, secondsInGraph, setsBeyondCache, timeCalls } from './timing';

interface StepShape {
  readonly batch: number;
  readonly dim: number;
  readonly dstate: number;
  readonly dtype: FloatType;
  readonly stateDType: FloatType;
}

export interface StepRow extends StepShape, Microseconds {
  readonly threads?: number;
  /** Of a call in a CUDA graph in which each call's u is what the call before gave. */
  readonly graphMicroseconds?: number;
  /** Of the state, read and written: of all the bytes those that grow with batch, dim and dstate. */
  readonly stateBytesPerSecond: number;
  /** The same as a fraction of the measured ceiling, on a GPU. */
  readonly memoryRoof?: number;
}

const shape = (batch: number, dim: number, change: Partial<StepShape> = {}): StepShape => ({
  ...{ batch, dim, dstate: 16, dtype: 'bfloat16', stateDType: 'float32' },
  ...change,
});

/** One layer's decode step, from one row to many. Launches, not memory, bound the time of the small ones on a GPU. */
const shapes: readonly StepShape[] = [
  shape(1, 1536),
  shape(1, 5120),
  shape(8, 5120),
  shape(64, 5120),
  shape(64, 5120, { stateDType: 'bfloat16' }),
  shape(64, 5120, { dtype: 'float32' }),
  shape(1024, 5120),
];

const bytesOf = (dtype: FloatType): number => (dtype === 'float32' ? 4 : 2);

export function measureSteps(device: string, threads: number | undefined, roofs: Roofs | undefined): StepRow[] {
  return shapes.map((each) => {
    const bytes = 2 * each.batch * each.dim * each.dstate * bytesOf(each.stateDType);
    // Many sets for a small shape, as a model has many layers.
    const sets = copies(makeTensors(each, device), setsBeyondCache(device, bytes));
    const timing = timeCalls(device, sets, (tensors) =>
      selectiveStateUpdateSync({ ...tensors, deltaSoftplus: true }).out.dispose(),
    );
    const inGraph =
      device === 'cpu'
        ? undefined
        : secondsInGraph(device, sets, (tensors, before: Tensor | undefined) => {
            const { out } = selectiveStateUpdateSync({ ...tensors, ...(before && { u: before }), deltaSoftplus: true });
            before?.dispose();
            return out;
          });
    dispose(sets);
    const seconds = inGraph ?? timing.seconds;
    return {
      ...each,
      ...(threads !== undefined && { threads }),
      ...microseconds(timing),
      ...(inGraph !== undefined && { graphMicroseconds: 1e6 * inGraph }),
      stateBytesPerSecond: bytes / seconds,
      ...(roofs && { memoryRoof: bytes / seconds / roofs.bytesPerSecond }),
    };
  });
}

function makeTensors({ batch, dim, dstate, dtype, stateDType }: StepShape, device: string) {
  const activation = () => randomTensor(device, [batch, dim], dtype);
  const matrix = () => randomTensor(device, [batch, dstate], dtype);
  return {
    state: randomTensor(device, [batch, dim, dstate], stateDType),
    u: activation(),
    delta: activation(),
    A: stateMatrix(device, dim, dstate),
    B: matrix(),
    C: matrix(),
    D: randomTensor(device, [dim], 'float32'),
    deltaBias: deltaBias(device, dim),
    z: activation(),
  };
}

/** What a table shows of a row. */
export function stepColumns(row: StepRow): Columns {
  return {
    '(batch, dim)': `${row.batch}, ${row.dim}`,
    dstate: row.dstate,
    dtype: row.dtype,
    state: row.stateDType,
    threads: row.threads,
    us: row.microseconds.toFixed(1),
    'host us': row.hostMicroseconds?.toFixed(1),
    bound: isLaunchBound(row) ? 'launch' : undefined,
    'us in a graph': row.graphMicroseconds?.toFixed(2),
    'state GB/s': (row.stateBytesPerSecond / 1e9).toFixed(1),
    memory: percent(row.memoryRoof),
  };
}
