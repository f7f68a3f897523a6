import { monitorEventLoopDelay } from 'node:perf_hooks';
import { allocPinned, type SelectiveScanOptions, selectiveScan, selectiveScanSync } from 'selective-scan';
import type { Columns } from './table';

type Layout = 'bdl' | 'bld';
type Sizes = readonly [batch: number, dim: number, seqlen: number];
type HostOptions = SelectiveScanOptions<Float32Array>;

/** A call on typed arrays of float32, with z, from its start until its results are there. */
export interface HostRow {
  readonly arrays: 'ordinary' | 'pinned';
  readonly form: 'promise' | 'sync';
  /** Where results go: new arrays, or one array for all calls, of the kind of the others. */
  readonly results: 'new' | 'reused';
  readonly layout: Layout;
  readonly batch: number;
  readonly dim: number;
  readonly seqlen: number;
  readonly dstate: number;
  readonly threads?: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** The median of many calls. */
  readonly microseconds: number;
  /** Of the promise form: the longest that the event loop was kept from a timer that was due. */
  readonly loopDelayMicroseconds?: number;
}

const dstate = 16;
const gpuLarge: Sizes = [8, 5120, 2048];
const cpuLarge: Sizes = [1, 512, 2048];
// Of 25, 200 and 900 kB, in and out.
const small: readonly Sizes[] = [
  [1, 64, 16],
  [1, 128, 64],
  [1, 384, 128],
];

export async function measureHosts(device: string, threads: number | undefined): Promise<HostRow[]> {
  const rows: HostRow[] = [];
  const measure = async (sizes: Sizes, layout: Layout, arrays: HostRow['arrays']) => {
    const options = makeOptions(device, sizes, layout, arrays);
    for (const results of ['new', 'reused'] as const) {
      for (const form of ['promise', 'sync'] as const) {
        // The promise form writes pinned arrays only.
        if (results === 'reused' && form === 'promise' && arrays === 'ordinary') continue;
        const out = results === 'reused' ? makeArray(arrays, options.u.length, 0) : undefined;
        rows.push(await time({ ...options, out }, form, arrays, threads));
      }
    }
  };
  for (const layout of ['bdl', 'bld'] as const) {
    for (const arrays of ['ordinary', 'pinned'] as const) {
      await measure(device === 'cpu' ? cpuLarge : gpuLarge, layout, arrays);
    }
  }
  for (const sizes of small) await measure(sizes, 'bdl', 'ordinary');
  return rows;
}

function makeArray(arrays: HostRow['arrays'], length: number, value: number): Float32Array {
  return (arrays === 'pinned' ? allocPinned(length) : new Float32Array(length)).fill(value);
}

function makeOptions(device: string, [batch, dim, seqlen]: Sizes, layout: Layout, arrays: HostRow['arrays']) {
  const array = (length: number, value: number) => makeArray(arrays, length, value);
  const steps = batch * dim * seqlen;
  return {
    u: array(steps, 0.5),
    delta: array(steps, 0.1),
    z: array(steps, 0.3),
    A: array(dim * dstate, -1),
    B: array(batch * dstate * seqlen, 0.2),
    C: array(batch * dstate * seqlen, 0.4),
    D: array(dim, 1),
    deltaBias: array(dim, -2),
    deltaSoftplus: true,
    layout,
    dims: { batch, dim, seqlen, dstate },
    device,
  } satisfies HostOptions;
}

async function time(
  options: ReturnType<typeof makeOptions> & { out: Float32Array | undefined },
  form: HostRow['form'],
  arrays: HostRow['arrays'],
  threads: number | undefined,
): Promise<HostRow> {
  const inputs = [options.u, options.delta, options.z, options.A, options.B, options.C, options.D, options.deltaBias];
  const inputBytes = inputs.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
  const isLarge = inputBytes > 2 ** 22;
  const resolution = 1; // milliseconds
  const delays = monitorEventLoopDelay({ resolution });
  const once = async () => {
    const start = performance.now();
    if (form === 'sync') selectiveScanSync<Float32Array>(options);
    else await selectiveScan<Float32Array>(options);
    return 1e3 * (performance.now() - start);
  };
  for (let i = 0; i < (isLarge ? 3 : 2000); i++) await once();
  delays.enable();
  const times: number[] = [];
  for (let i = 0; i < (isLarge ? 11 : 2000); i++) times.push(await once());
  delays.disable();
  return {
    ...{
      arrays,
      form,
      results: options.out ? ('reused' as const) : ('new' as const),
      layout: options.layout,
      ...options.dims,
    },
    ...(threads !== undefined && { threads }),
    ...{ inputBytes, outputBytes: options.u.byteLength },
    microseconds: times.sort((a, b) => a - b)[times.length >> 1] as number,
    ...(form === 'promise' && isLarge && { loopDelayMicroseconds: delays.max / 1e3 - 1e3 * resolution }),
  };
}

/** What a table shows of a row. */
export function hostColumns(row: HostRow): Columns {
  const rate = (bytes: number) => (bytes / row.microseconds / 1e3).toFixed(1);
  return {
    arrays: row.arrays,
    form: row.form,
    results: row.results,
    layout: row.layout,
    shape: `${row.batch}, ${row.dim}, ${row.seqlen}`,
    threads: row.threads,
    MB: (row.inputBytes / 1e6).toFixed(row.inputBytes < 1e7 ? 2 : 0),
    us: row.microseconds.toFixed(1),
    'GB/s in': rate(row.inputBytes),
    'GB/s out': rate(row.outputBytes),
    'loop delay ms': row.loopDelayMicroseconds && (row.loopDelayMicroseconds / 1e3).toFixed(1),
  };
}
