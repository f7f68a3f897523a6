import {
  causalConv1dSync,
  causalConv1dUpdateSync,
  embeddingSync,
  type Roofs,
  rmsNormSync,
  sampleSync,
  softmaxSync,
  Tensor,
} from 'selective-scan';
import { copies, dispose, type FloatType, randomNumbers, randomTensor } from './inputs';
import { type Columns, percent } from './table';
import { isLaunchBound, type Microseconds, microseconds, setsBeyondCache, timeCalls } from './timing';

interface OpShape {
  readonly op: string;
  readonly model: string;
  readonly rows: number;
  readonly columns: number;
  readonly dtype: FloatType;
}

export interface OpRow extends OpShape, Microseconds {
  readonly threads?: number;
  /** Of all arrays, each read or written once; of a table the rows that are asked for. */
  readonly bytesPerSecond: number;
  /** The same as a fraction of the measured ceiling, on a GPU. */
  readonly memoryRoof?: number;
}

/** An op at one shape: what a call takes, and how many bytes it moves. */
interface Op {
  readonly inputs: Record<string, Tensor>;
  readonly bytes: number;
  call(inputs: Record<string, Tensor>): void;
}

/** The call takes the inputs, or others of the same names. */
function opOf<Inputs extends Record<string, Tensor>>(
  inputs: Inputs,
  bytes: number,
  call: (inputs: Inputs) => void,
): Op {
  return { inputs, bytes, call: (others) => call(others as Inputs) };
}

type Maker = (device: string, shape: OpShape) => Op;

const models = [
  { name: '130m', hidden: 768, inner: 1536 },
  { name: '2.8b', hidden: 2560, inner: 5120 },
];
const vocab = 50280;
const width = 4;
/** Rows of a decode step, and of a prompt. */
const decode = [1, 8, 64];
const prompt = 2048;

const sizeOf = (dtype: FloatType): number => (dtype === 'float32' ? 4 : 2);

const filters = (device: string, dim: number) => ({
  weight: randomTensor(device, [dim, width], 'float32'),
  bias: randomTensor(device, [dim], 'float32'),
});

function convolution(layout: 'bdl' | 'bld'): Maker {
  return (device, { rows, columns, dtype }) =>
    opOf(
      {
        x: randomTensor(device, layout === 'bdl' ? [1, columns, rows] : [1, rows, columns], dtype),
        ...filters(device, columns),
      },
      2 * rows * columns * sizeOf(dtype) + 4 * columns * (width + 1),
      (inputs) => causalConv1dSync({ ...inputs, layout, activation: 'silu' }).out.dispose(),
    );
}

const makers: Readonly<Record<string, Maker>> = {
  'causalConv1d bdl': convolution('bdl'),
  'causalConv1d bld': convolution('bld'),
  causalConv1dUpdate: (device, { rows, columns, dtype }) =>
    opOf(
      {
        state: randomTensor(device, [rows, columns, width - 1], dtype),
        x: randomTensor(device, [rows, columns], dtype),
        ...filters(device, columns),
      },
      2 * width * rows * columns * sizeOf(dtype) + 4 * columns * (width + 1),
      (inputs) => causalConv1dUpdateSync({ ...inputs, activation: 'silu' }).out.dispose(),
    ),
  rmsNorm: (device, { rows, columns, dtype }) =>
    opOf(
      {
        x: randomTensor(device, [rows, columns], dtype),
        weight: randomTensor(device, [columns], dtype),
        residual: randomTensor(device, [rows, columns], 'float32'),
      },
      rows * columns * (2 * sizeOf(dtype) + 8) + columns * sizeOf(dtype),
      (inputs) => {
        const { out, residual } = rmsNormSync({ ...inputs, returnResidual: true });
        out.dispose();
        residual?.dispose();
      },
    ),
  softmax: (device, { rows, columns, dtype }) =>
    opOf({ x: randomTensor(device, [rows, columns], dtype) }, rows * columns * (sizeOf(dtype) + 4), (inputs) =>
      softmaxSync(inputs).out.dispose(),
    ),
  sample: (device, { rows, columns, dtype }) =>
    opOf(
      {
        logits: randomTensor(device, [rows, columns], dtype),
        random: integers(device, [rows, 3], 2 ** 31),
      },
      rows * columns * sizeOf(dtype),
      (inputs) => sampleSync({ ...inputs, topK: 50, topP: 0.9 }).tokens.dispose(),
    ),
  embedding: (device, { rows, columns, dtype }) =>
    opOf(
      { weight: randomTensor(device, [vocab, columns], dtype), ids: integers(device, [rows], vocab) },
      rows * (2 * columns * sizeOf(dtype) + 4),
      (inputs) => embeddingSync(inputs).out.dispose(),
    ),
};

function integers(device: string, dims: readonly number[], below: number): Tensor {
  const length = dims.reduce((product, size) => product * size, 1);
  using host = Tensor.from(
    Int32Array.from(randomNumbers(3, length), (random) => random * below),
    dims,
  );
  return host.toSync(device);
}

/** What each op is called with in a model: channels are its inner or hidden ones, or the vocabulary, which all share. */
function shapes(): OpShape[] {
  const dtype = 'bfloat16';
  const list = (op: string, model: string, columns: number, rowCounts: readonly number[], type: FloatType = dtype) =>
    rowCounts.map((rows): OpShape => ({ op, model, rows, columns, dtype: type }));
  return [
    ...models.flatMap(({ name, hidden, inner }) => [
      ...list('causalConv1d bdl', name, inner, [prompt]),
      ...list('causalConv1d bld', name, inner, [prompt]),
      ...list('causalConv1dUpdate', name, inner, decode),
      ...list('causalConv1dUpdate', name, inner, decode, 'float32'),
      ...list('rmsNorm', name, hidden, [...decode, prompt]),
      ...list('embedding', name, hidden, [...decode, prompt]),
    ]),
    ...list('softmax', 'both', vocab, decode),
    ...list('sample', 'both', vocab, decode),
  ];
}

export function measureOps(device: string, threads: number | undefined, roofs: Roofs | undefined): OpRow[] {
  return shapes().map((shape) => {
    const { inputs, bytes, call } = (makers[shape.op] as Maker)(device, shape);
    // A table once only: the rows that a call reads of it may be in a cache, as those of frequent tokens are.
    const sets = copies(inputs, shape.op === 'embedding' ? 1 : setsBeyondCache(device, bytes));
    const timing = timeCalls(device, sets, call);
    dispose(sets);
    const bytesPerSecond = bytes / timing.seconds;
    return {
      ...shape,
      ...(threads !== undefined && { threads }),
      ...microseconds(timing),
      bytesPerSecond,
      ...(roofs && { memoryRoof: bytesPerSecond / roofs.bytesPerSecond }),
    };
  });
}

/** What a table shows of a row. */
export function opColumns(row: OpRow): Columns {
  return {
    op: row.op,
    model: row.model,
    rows: row.rows,
    columns: row.columns,
    dtype: row.dtype,
    threads: row.threads,
    us: row.microseconds.toFixed(1),
    'host us': row.hostMicroseconds?.toFixed(1),
    bound: isLaunchBound(row) ? 'launch' : undefined,
    'GB/s': (row.bytesPerSecond / 1e9).toFixed(1),
    memory: percent(row.memoryRoof),
  };
}
