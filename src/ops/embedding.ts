import { type Axis, checkSize, readOptions } from '../check.js';
import { nativeCode } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { rawView } from '../host-array.js';
import { checkSignal } from '../signal.js';
import { readStream, type Stream } from '../stream.js';
import { isTensor, memoryOf, type Tensor } from '../tensor.js';
import { copyIntegers } from './host-integers.js';
import { Operands, requireTensor } from './operands.js';
import { readFloatDType } from './rows.js';
import { type OpResult, type OpRun, run, runSync } from './run.js';

export interface EmbeddingOptions {
  /**
   * Which row of the table each row of out is, int32: a Tensor of any axes, or an Int32Array of one. An Int32Array, and a
   * tensor of the CPU where the table is on a GPU, are read and checked at the call. A tensor of the table's device is
   * read when the work runs, after the calls before it: on the CPU an id that is not there is an ERR_SHAPE of this call;
   * on a GPU, where the host does not read it, its row is NaN.
   */
  ids: Int32Array | Tensor;
  /** The table, [vocab, dim], float32, float16 or bfloat16. */
  weight: Tensor;
  /** Of out: 'float32', 'float16' or 'bfloat16'. Default weight's. */
  dtype?: 'float32' | 'float16' | 'bfloat16' | undefined;
  /** May only name the device where the table is. */
  device?: string | undefined;
  /** Another queue than the device's own. */
  stream?: Stream | undefined;
  /** Promise form only: rejects with ERR_ABORTED unless the work has begun by then. */
  signal?: AbortSignal | undefined;
}

export interface EmbeddingResult {
  /** [...axes of ids, dim], rounded to nearest even where dtype is less precise than weight's. */
  out: Tensor;
  /** Where the table is. */
  device: string;
}

type Name = 'weight' | 'ids';

// Inputs in the order of native/binding/embedding.cc.
const inputs: readonly Name[] = ['weight', 'ids'];
const known: ReadonlySet<string> = new Set<keyof EmbeddingOptions>(['weight', 'ids', 'dtype', 'device', 'stream']);
const knownWithSignal: ReadonlySet<string> = new Set([...known, 'signal']);

/** Read during the native call only. One for all of them: making one takes longer than a small call should. */
const nativeSizes = new Float64Array(5);

/**
 * Rows of a table by their numbers, as tokens become vectors: out[i] = weight[ids[i]].
 *
 * Rejects with a SelectiveScanError: ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_DISPOSED, ERR_UNSUPPORTED,
 * ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST, ERR_BACKEND_LOAD or ERR_ABORTED.
 */
export async function embedding(options: EmbeddingOptions): Promise<EmbeddingResult> {
  const read = readOptions<EmbeddingOptions>(options, knownWithSignal, 'options');
  const signal = checkSignal(read.signal);
  const plan = prepare(read);
  return resultOf(await run(plan, signal));
}

/** The same, blocking on the CPU; on a GPU the work is only enqueued, and toArray() waits for it. */
export function embeddingSync(options: Omit<EmbeddingOptions, 'signal'>): EmbeddingResult {
  const plan = prepare(readOptions<EmbeddingOptions>(options, known, 'options'));
  return resultOf(runSync(plan));
}

function resultOf({ outputs, device }: OpResult): EmbeddingResult {
  const [out] = outputs as [Tensor];
  return { out, device };
}

/** `options` are a copy that nobody else has. */
function prepare(options: EmbeddingOptions): OpRun<Name> {
  requireTensor('weight', options.weight);
  const { axes, host } = readIds(options.ids, options.weight);
  const operands = new Operands<Name>({ weight: options.weight, ids: host ? undefined : options.ids }, inputs, 1);
  const [vocab, columns] = operands.dimsOfRank('weight', ['vocab', 'dim']) as [number, number];
  const dim = checkSize('dim', columns, 1);
  const weightDType = operands.floatDType('weight');
  const dtype = readFloatDType(options.dtype, weightDType);
  operands.check('ids', { axes, dtype: 'int32' });
  if (host) checkIds(host, vocab);

  const rows = axes.reduce((product, [, size]) => product * size, 1);
  const rawIds = host && rawView(host);
  return {
    operands,
    device: options.device,
    stream: readStream(options.stream),
    outputs: [{ axes: [...axes, ['dim', dim]], dtype }],
    launch: (native, queue, isPromise, arrays, control) => {
      nativeSizes.set([rows, vocab, dim, nativeCode[weightDType], nativeCode[dtype]]);
      return native.embedding(queue, isPromise, nativeSizes, rawIds, control, ...arrays);
    },
  };
}

/** The axes of ids; and a copy of them where the host reads them at the call. */
function readIds(ids: unknown, weight: Tensor): { axes: Axis[]; host?: Int32Array } {
  if (!isTensor(ids)) {
    const host = copyIntegers('ids', ids, 'rows');
    return { axes: [['rows', host.length]], host };
  }
  memoryOf(ids, 'ids');
  const axes = ids.dims.map((size, i): Axis => [`axis ${i}`, size]);
  if (ids.device !== 'cpu' || weight.device === 'cpu') return { axes };
  if (ids.dtype !== 'int32') {
    throw new SelectiveScanError('ERR_DTYPE', `Expected ids to have dtype int32 but received ${ids.dtype}.`);
  }
  return { axes, host: Int32Array.from(ids.data) };
}

function checkIds(ids: Int32Array, vocab: number): void {
  const wrong = ids.findIndex((id) => id < 0 || id >= vocab);
  if (wrong < 0) return;
  throw new SelectiveScanError(
    'ERR_SHAPE',
    `Expected ids from 0 to ${vocab - 1} but received ${ids[wrong]} at ${wrong}.`,
  );
}
