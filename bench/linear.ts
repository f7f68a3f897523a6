import { linearSync, type Roofs, type Tensor } from 'selective-scan';
import { copies, dispose, type FloatType, randomTensor } from './inputs';
import { type Columns, percent } from './table';
import { isLaunchBound, type Microseconds, microseconds, timeCalls } from './timing';

interface LinearShape {
  readonly model: string;
  readonly layer: string;
  readonly rows: number;
  readonly in: number;
  readonly out: number;
  readonly dtype: FloatType;
}

export interface LinearRow extends LinearShape, Microseconds {
  readonly threads?: number;
  readonly operationsPerSecond: number;
  /** Of the weights, each read once. */
  readonly weightBytesPerSecond: number;
  /** The same as a fraction of the measured ceiling, on a GPU. */
  readonly memoryRoof?: number;
}

interface Model {
  readonly name: string;
  readonly hidden: number;
  readonly inner: number;
  readonly layers: number;
  readonly vocab: number;
  readonly dtype: FloatType;
}

const models: readonly Model[] = [
  { name: 'small', hidden: 256, inner: 512, layers: 8, vocab: 2048, dtype: 'float32' },
  { name: '130m', hidden: 768, inner: 1536, layers: 24, vocab: 50280, dtype: 'bfloat16' },
];

const dstate = 16;
const rowCounts = [1, 8, 128, 2048];

/** The projections of a Mamba block, [name, in, out]. */
function projections({ hidden, inner }: Model): readonly [layer: string, depth: number, out: number][] {
  const rank = Math.ceil(hidden / 16);
  return [
    ['in_proj', hidden, 2 * inner],
    ['x_proj', inner, rank + 2 * dstate],
    ['dt_proj', rank, inner],
    ['out_proj', inner, hidden],
  ];
}

/** A prompt's last row alone is multiplied with the head. */
function shapesOf(model: Model): LinearShape[] {
  const { name, hidden, vocab, dtype } = model;
  return [...projections(model), ['lm_head', hidden, vocab] as const].flatMap(([layer, depth, out]) =>
    rowCounts
      .filter((rows) => layer !== 'lm_head' || rows <= 8)
      .map((rows) => ({ model: name, layer, rows, in: depth, out, dtype })),
  );
}

const bytesOf = (dtype: FloatType): number => (dtype === 'float32' ? 4 : 2);

function bytesOfModel(model: Model): number {
  const block = projections(model).reduce((sum, [, depth, out]) => sum + depth * out, 0);
  return bytesOf(model.dtype) * (model.layers * block + model.hidden * model.vocab);
}

export function measureLinears(device: string, threads: number | undefined, roofs: Roofs | undefined): LinearRow[] {
  return models.flatMap((model) =>
    shapesOf(model).map((shape) => measureLinear(shape, bytesOfModel(model), device, threads, roofs)),
  );
}

/** Between two calls with the same weights come as many others as a model has bytes, as when it makes a token. */
function measureLinear(
  shape: LinearShape,
  modelBytes: number,
  device: string,
  threads: number | undefined,
  roofs: Roofs | undefined,
): LinearRow {
  const { rows, in: depth, out, dtype } = shape;
  const bytes = depth * out * bytesOf(dtype);
  const most = 512; // sets: beyond any cache in all, and made in a moment
  const sets = copies(
    { weight: randomTensor(device, [out, depth], dtype) },
    Math.min(most, Math.ceil(modelBytes / bytes)),
  );
  const x: Tensor = randomTensor(device, [rows, depth], dtype);
  const timing = timeCalls(device, sets, ({ weight }) => linearSync({ x, weight }).out.dispose());
  x.dispose();
  dispose(sets);
  const { seconds } = timing;
  return {
    ...shape,
    ...(threads !== undefined && { threads }),
    ...microseconds(timing),
    operationsPerSecond: (2 * rows * depth * out) / seconds,
    weightBytesPerSecond: bytes / seconds,
    ...(roofs && { memoryRoof: bytes / seconds / roofs.bytesPerSecond }),
  };
}

/** What a table shows of a row. */
export function linearColumns(row: LinearRow): Columns {
  return {
    model: row.model,
    layer: row.layer,
    rows: row.rows,
    'in, out': `${row.in}, ${row.out}`,
    dtype: row.dtype,
    threads: row.threads,
    us: row.microseconds.toFixed(1),
    'host us': row.hostMicroseconds?.toFixed(1),
    bound: isLaunchBound(row) ? 'launch' : undefined,
    'GFLOP/s': (row.operationsPerSecond / 1e9).toFixed(1),
    'weight GB/s': (row.weightBytesPerSecond / 1e9).toFixed(1),
    memory: percent(row.memoryRoof),
  };
}
