import { checkFlag, describe, readOptions } from '../check.js';
import { namedDevice } from '../device.js';
import { nativeCode } from '../dtype.js';
import { SelectiveScanError } from '../errors.js';
import { rawView } from '../host-array.js';
import { callNative } from '../native.js';
import { readCuSeqlens } from './host-integers.js';
import { checkLayout } from './layout.js';
import { readDims, type SelectiveScanDims, type SelectiveScanOptions } from './selective-scan.js';

/** A shape of selectiveScan's: its options without the arrays. */
export interface ScanKernelOptions
  extends Pick<
    SelectiveScanOptions,
    'cuSeqlens' | 'layout' | 'batchInvariant' | 'complexA' | 'constantB' | 'constantC' | 'device'
  > {
  dims: SelectiveScanDims;
  /** Of u. Default 'float32'. */
  dtype?: 'float32' | 'float16' | 'bfloat16' | undefined;
  /** Whether there is a z. Default false. */
  z?: boolean | undefined;
}

const known: ReadonlySet<string> = new Set<keyof ScanKernelOptions>([
  ...([
    'dims',
    'dtype',
    'layout',
    'z',
    'complexA',
    'constantB',
    'constantC',
    'cuSeqlens',
    'batchInvariant',
    'device',
  ] as const),
]);

/**
 * Which kernel selectiveScan runs for a shape and how it cuts the work, in a few words for people; the words may change.
 * Nothing is computed, and a GPU that `device` names need not be there.
 * Throws ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_DEVICE, ERR_BACKEND_LOAD, or ERR_UNSUPPORTED where this build serves no
 * GPUs.
 */
export function scanKernel(options: ScanKernelOptions): string {
  const read = readOptions<ScanKernelOptions>(options, known, 'options');
  const sizes = readDims(read.dims);
  const { batch, dim, seqlen, dstate, groups } = sizes;
  const starts = readCuSeqlens(read.cuSeqlens, sizes);
  const sequences = starts ? starts.length - 1 : batch;
  const layoutCode = checkLayout(read.layout) === 'bdl' ? 0 : 1;
  const flags =
    (checkFlag('complexA', read.complexA) ? 1 : 0) |
    (checkFlag('constantB', read.constantB) ? 0 : 2) |
    (checkFlag('constantC', read.constantC) ? 0 : 4) |
    (checkFlag('batchInvariant', read.batchInvariant) ? 16 : 0);
  const dtypeCode = nativeCode[checkFloat(read.dtype)];
  const hasZ = checkFlag('z', read.z);
  const { index } = namedDevice(read.device);
  // As selectiveScan's, in the order of native/binding/selective_scan.cc.
  const nativeSizes = Float64Array.of(...[batch, dim, seqlen, dstate, groups, sequences, dtypeCode, layoutCode, flags]);
  return callNative((native) => native.describeScan(index, nativeSizes, starts && rawView(starts), hasZ));
}

function checkFloat(dtype: unknown): 'float32' | 'float16' | 'bfloat16' {
  if (dtype === undefined) return 'float32';
  if (dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16') return dtype;
  throw new SelectiveScanError(
    'ERR_DTYPE',
    `Expected dtype to be float32, float16 or bfloat16 but received ${describe(dtype)}.`,
  );
}
