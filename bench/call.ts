import {
  device as deviceOf,
  selectiveScanSync,
  selectiveStateUpdateSync,
  synchronizeSync,
  Tensor,
} from 'selective-scan';
import type { Columns } from './table';

/** The host's part of a call: sizes so small that the device is done before the next call is made. */
export interface CallRow {
  readonly op: string;
  readonly sizes: string;
  readonly threads?: number;
  /** From call to call while nobody waits for the device: checks, the result's memory, launch and dispose. */
  readonly hostMicroseconds: number;
  /** The same over many calls and until the last is complete. */
  readonly microseconds: number;
}

// Calls that a GPU's queue takes without making the caller wait.
const callsInBurst = 200;
const bursts = 200;

export function measureCalls(device: string, threads: number | undefined): CallRow[] {
  return [timedStep(device), timedScan(device), timedGraph(device)].map((row) => ({
    ...row,
    ...(threads !== undefined && { threads }),
  }));
}

function timedStep(device: string): CallRow {
  const [batch, dim, dstate] = [1, device === 'cpu' ? 16 : 1536, 16];
  const activation = () => tensor(device, [batch, dim], 'bfloat16');
  const options = {
    state: tensor(device, [batch, dim, dstate]),
    u: activation(),
    delta: activation(),
    A: tensor(device, [dim, dstate]),
    B: tensor(device, [batch, dstate], 'bfloat16'),
    C: tensor(device, [batch, dstate], 'bfloat16'),
    D: tensor(device, [dim]),
    z: activation(),
    deltaBias: tensor(device, [dim]),
    deltaSoftplus: true,
  };
  const times = time(device, () => selectiveStateUpdateSync(options).out.dispose());
  return { op: 'selectiveStateUpdateSync', sizes: `batch ${batch}, dim ${dim}, dstate ${dstate}`, ...times };
}

function scanOptions(device: string) {
  const [batch, dim, seqlen, dstate] = [1, device === 'cpu' ? 16 : 64, device === 'cpu' ? 1 : 16, 16];
  const activation = () => tensor(device, [batch, dim, seqlen], 'bfloat16');
  return {
    u: activation(),
    delta: activation(),
    A: tensor(device, [dim, dstate]),
    B: tensor(device, [batch, dstate, seqlen], 'bfloat16'),
    C: tensor(device, [batch, dstate, seqlen], 'bfloat16'),
    D: tensor(device, [dim]),
    z: activation(),
    deltaBias: tensor(device, [dim]),
    deltaSoftplus: true,
  };
}

function sizesOf({ u, A }: ReturnType<typeof scanOptions>): string {
  const [batch, dim, seqlen] = u.dims;
  return `batch ${batch}, dim ${dim}, seqlen ${seqlen}, dstate ${A.dims[1]}`;
}

function timedScan(device: string): CallRow {
  const options = scanOptions(device);
  const times = time(device, () => selectiveScanSync(options).out.dispose());
  return { op: 'selectiveScanSync', sizes: sizesOf(options), ...times };
}

/** A hundred scans that do not need each other, replayed: the times are of one of them. */
function timedGraph(device: string): CallRow {
  const options = scanOptions(device);
  const nodes = 100;
  using graph = deviceOf(device).capture(() => {
    for (let i = 0; i < nodes; i++) selectiveScanSync(options).out.dispose();
  });
  const times = time(device, () => graph.replay(), 10);
  return {
    op: `replay of ${nodes} selectiveScanSync, each`,
    sizes: sizesOf(options),
    hostMicroseconds: times.hostMicroseconds / nodes,
    microseconds: times.microseconds / nodes,
  };
}

function tensor(device: string, dims: number[], dtype: 'float32' | 'bfloat16' = 'float32'): Tensor {
  const length = dims.reduce((product, size) => product * size, 1);
  using host = Tensor.from(new Float32Array(length).fill(0.1), dims, dtype);
  return host.toSync(device);
}

function time(
  device: string,
  call: () => void,
  burst = callsInBurst,
): Pick<CallRow, 'hostMicroseconds' | 'microseconds'> {
  const enqueue = (): number => {
    const start = performance.now();
    for (let i = 0; i < burst; i++) call();
    return (1e3 * (performance.now() - start)) / burst;
  };
  // The first calls are run by the engine's interpreter.
  for (let i = 0; i < bursts; i++) enqueue();
  synchronizeSync(device);
  const start = performance.now();
  for (let i = 0; i < bursts; i++) enqueue();
  synchronizeSync(device);
  const microseconds = (1e3 * (performance.now() - start)) / burst / bursts;
  const times = Array.from({ length: bursts }, () => {
    const host = enqueue();
    synchronizeSync(device);
    return host;
  }).sort((a, b) => a - b);
  return { hostMicroseconds: times[times.length >> 1] as number, microseconds };
}

/** What a table shows of a row. */
export function callColumns(row: CallRow): Columns {
  return {
    op: row.op,
    sizes: row.sizes,
    threads: row.threads,
    'host us': row.hostMicroseconds.toFixed(2),
    us: row.microseconds.toFixed(2),
  };
}
