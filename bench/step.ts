import { type Roofs, type SelectiveStateUpdateOptions, selectiveStateUpdateSync } from 'selective-scan';
import { centred, deltaBias, disposeInputs, type FloatType, randomTensor, stateMatrix } from './inputs';
import { type Columns, percent } from './table';
import { medianSeconds, setsBeyondCache } from './timing';

interface StepShape {
  readonly batch: number;
  readonly dim: number;
  readonly dstate: number;
  readonly dtype: FloatType;
  readonly stateDType: FloatType;
}

export interface StepRow extends StepShape {
  readonly threads?: number;
  readonly microseconds: number;
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
    const sets = Array.from({ length: setsBeyondCache(device, bytes, 64) }, () => makeInputs(each, device));
    const seconds = medianSeconds(device, sets, (inputs) => selectiveStateUpdateSync(inputs).out.dispose());
    for (const { deltaSoftplus: _, ...tensors } of sets) disposeInputs(tensors);
    return {
      ...each,
      ...(threads !== undefined && { threads }),
      microseconds: 1e6 * seconds,
      stateBytesPerSecond: bytes / seconds,
      ...(roofs && { memoryRoof: bytes / seconds / roofs.bytesPerSecond }),
    };
  });
}

function makeInputs({ batch, dim, dstate, dtype, stateDType }: StepShape, device: string): SelectiveStateUpdateOptions {
  const activation = (seed: number) => randomTensor(device, seed, [batch, dim], dtype, centred);
  const matrix = (seed: number) => randomTensor(device, seed, [batch, dstate], dtype, centred);
  return {
    state: randomTensor(device, 1, [batch, dim, dstate], stateDType, centred),
    u: activation(2),
    delta: activation(3),
    A: stateMatrix(device, dim, dstate),
    B: matrix(4),
    C: matrix(5),
    D: randomTensor(device, 6, [dim], 'float32', centred),
    deltaBias: randomTensor(device, 7, [dim], 'float32', deltaBias),
    z: activation(8),
    deltaSoftplus: true,
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
    'state GB/s': (row.stateBytesPerSecond / 1e9).toFixed(1),
    memory: percent(row.memoryRoof),
  };
}
