import { type Roofs, selectiveScanSync } from 'selective-scan';
import { copies, dispose } from './inputs';
import { peerSeconds } from './peer';
import { callOptions, kernelOf, makeTensors } from './scan-inputs';
import { cpuShapes, cudaShapes, type ScanShape, workOf } from './scan-shapes';
import { type Columns, percent } from './table';
import { isLaunchBound, type Microseconds, microseconds, setsBeyondCache, type Timing, timeCalls } from './timing';

export interface ScanRow extends ScanShape, Microseconds {
  readonly threads?: number;
  readonly kernel: string;
  readonly elementsPerSecond: number;
  /** Time per element over that of the row it is held against. */
  readonly perElement?: number;
  /** Fractions of the measured ceilings, on a GPU. */
  readonly functionRoof?: number;
  readonly memoryRoof?: number;
  /** mamba_ssm's, in the same run. */
  readonly peerMicroseconds?: number;
}

export function measureScans(
  device: string,
  threads: number | undefined,
  roofs: Roofs | undefined,
  hasPeer = false,
): ScanRow[] {
  const shapes = device === 'cpu' ? cpuShapes : cudaShapes;
  // Before ours, so that a peer that is not there is heard of at once.
  const peer = hasPeer ? peerSeconds(shapes, device) : [];
  const rows = shapes.map((shape, i): ScanRow => {
    const timing = timeScan(shape, device);
    const { elements, bytes, functions } = workOf(shape);
    const theirs = peer[i];
    return {
      ...shape,
      ...(threads !== undefined && { threads }),
      kernel: kernelOf(shape, device),
      ...microseconds(timing),
      elementsPerSecond: elements / timing.seconds,
      ...(roofs && {
        functionRoof: functions / timing.seconds / roofs.exponentialsPerSecond,
        memoryRoof: bytes / timing.seconds / roofs.bytesPerSecond,
      }),
      ...(theirs && { peerMicroseconds: 1e6 * theirs }),
    };
  });
  return rows.map((row) => {
    const other = rows.find((each) => isHeldAgainst(row, each));
    return other ? { ...row, perElement: other.elementsPerSecond / row.elementsPerSecond } : row;
  });
}

function timeScan(shape: ScanShape, device: string): Timing {
  const sets = copies(makeTensors(shape, device), setsBeyondCache(device, workOf(shape).bytes));
  const options = callOptions(shape);
  const timing = timeCalls(device, sets, (tensors) => {
    const { out, lastState } = selectiveScanSync({ ...tensors, ...options });
    out.dispose();
    lastState?.dispose();
  });
  dispose(sets);
  return timing;
}

function isHeldAgainst(row: ScanShape, other: ScanShape): boolean {
  const same = ['batch', 'dim', 'dstate', 'dtype', 'layout', 'z'] as const;
  return other.seqlen === row.against && other.case === undefined && same.every((key) => row[key] === other[key]);
}

/** What a table shows of a row. */
export function scanColumns(row: ScanRow): Columns {
  const { sequences, ...special } = row.case ?? {};
  return {
    '(batch, dim, seqlen)': `${row.batch}, ${row.dim}, ${row.seqlen}`,
    dstate: row.dstate,
    dtype: row.dtype,
    layout: row.layout,
    z: row.z ? 'z' : '',
    sequences,
    case:
      Object.entries(special)
        .map(([name, value]) => (value === true ? name : `${name} ${value}`))
        .join(' ') || undefined,
    threads: row.threads,
    us: row.microseconds.toFixed(1),
    'host us': row.hostMicroseconds?.toFixed(1),
    bound: isLaunchBound(row) ? 'launch' : undefined,
    'elements/s': row.elementsPerSecond.toExponential(2),
    'per element': row.perElement?.toFixed(2),
    'special functions': percent(row.functionRoof),
    memory: percent(row.memoryRoof),
    'mamba_ssm us': row.peerMicroseconds?.toFixed(1),
    times: row.peerMicroseconds && (row.peerMicroseconds / row.microseconds).toFixed(2),
    kernel: row.kernel,
  };
}
