// The shapes of the scan suite, and what work each of them is.
import { type FloatType, randomNumbers } from './inputs';

/** What only some scans have. */
export interface ScanCase {
  readonly groups?: number;
  readonly constantB?: boolean;
  readonly constantC?: boolean;
  readonly complexA?: boolean;
  /** An initial state is read and the last one returned. */
  readonly states?: boolean;
  /** Packed, of the lengths of packedStarts(). */
  readonly sequences?: number;
  readonly batchInvariant?: boolean;
}

export interface ScanShape {
  readonly batch: number;
  readonly dim: number;
  readonly seqlen: number;
  readonly dstate: number;
  readonly dtype: FloatType;
  readonly layout: 'bdl' | 'bld';
  readonly z: boolean;
  readonly case?: ScanCase;
  /** The seqlen of the row without a case, otherwise the same, that this one's time per element is held against. */
  readonly against?: number;
}

const shape = (batch: number, dim: number, seqlen: number, change: Partial<ScanShape> = {}): ScanShape => ({
  ...{ batch, dim, seqlen, dstate: 16, dtype: 'bfloat16', layout: 'bdl', z: true },
  ...change,
});

const bothLayouts = (shapes: readonly ScanShape[]): ScanShape[] =>
  shapes.flatMap((each) => [each, { ...each, layout: 'bld' }]);

const longest = 4096;

/** Where sequences begin whose lengths are random, 1 to 4096, and the same at every run; at the end, their total. */
export function packedStarts(sequences: number): Int32Array {
  const starts = new Int32Array(sequences + 1);
  for (const [s, random] of randomNumbers(3, sequences).entries()) {
    starts[s + 1] = (starts[s] as number) + 1 + Math.floor(longest * random);
  }
  return starts;
}

function packed(dim: number, change: Partial<ScanShape> = {}): ScanShape[] {
  const sequences = 64;
  const total = packedStarts(sequences).at(-1) as number;
  return bothLayouts([
    shape(1, dim, total, change),
    shape(1, dim, total, { ...change, case: { sequences }, against: total }),
  ]);
}

/** Shapes of published models. */
const models = bothLayouts([
  ...[shape(64, 1536, 2048), shape(16, 8192, 4096), shape(64, 5120, 512), shape(256, 1536, 128)],
  ...[shape(8, 5120, 2048), shape(8, 5120, 1024), shape(8, 1536, 2048), shape(1, 5120, 2048), shape(1, 5120, 32768)],
  ...[512, 2048, 16384, 65536, 1048576].map((seqlen) => shape(1, 1536, seqlen)),
]);

/** Lengths that no tile divides. */
const oddLengths = bothLayouts([
  shape(8, 5120, 1000, { against: 1024 }),
  shape(8, 5120, 2047, { against: 2048 }),
  shape(1, 1536, 2047, { against: 2048 }),
]);

const changes = bothLayouts([
  ...(['float32', 'float16'] as const).map((dtype) => shape(8, 5120, 2048, { dtype })),
  shape(8, 5120, 2048, { z: false }),
  shape(8, 5120, 2048, { dstate: 64 }),
  shape(1, 5120, 2048, { dstate: 128 }),
]);

const cases: readonly ScanShape[] = [
  ...[1, 8, 256].map((dstate) => shape(8, 5120, 2048, { dstate })),
  ...[
    { groups: 8 },
    { constantB: true },
    { constantC: true },
    { constantB: true, constantC: true },
    { states: true },
    { complexA: true },
  ].map((each) => shape(8, 5120, 2048, { case: each, against: 2048 })),
];

/** What it costs that nothing but the sequence itself decides how it is computed: most for few rows. */
const invariant = bothLayouts(
  (
    [
      [1, 1536],
      [1, 5120],
      [8, 5120],
      [64, 1536],
    ] as const
  ).map(([batch, dim]) => shape(batch, dim, 2048, { case: { batchInvariant: true }, against: 2048 })),
);

/** Speed over length, for several numbers of rows: what is plotted. The largest of them would take many GB. */
const sweep = (
  [
    [1, 1536],
    [1, 5120],
    [8, 1536],
    [8, 5120],
    [64, 1536],
  ] as const
)
  .flatMap(([batch, dim]) => [512, 2048, 8192, 32768].map((seqlen) => shape(batch, dim, seqlen)))
  .filter(({ batch, dim, seqlen }) => batch * dim * seqlen < 2 ** 31);

export const cudaShapes = distinct([
  ...models,
  ...oddLengths,
  ...changes,
  ...cases,
  ...invariant,
  ...packed(1536),
  ...packed(5120),
  ...sweep,
]);

const float32 = { dtype: 'float32' } as const;

export const cpuShapes: readonly ScanShape[] = [
  ...bothLayouts([
    shape(1, 1536, 2048, float32),
    shape(1, 1536, 2048, { dtype: 'bfloat16' }),
    shape(1, 1536, 2048, { dtype: 'float16' }),
  ]),
  shape(1, 1536, 2048, { ...float32, z: false }),
  shape(1, 256, 2048, { ...float32, dstate: 64 }),
  shape(1, 64, 16384, float32),
  shape(1, 16, 65536, float32),
  // Of so few channels that the allocator keeps the result's memory from call to call.
  ...packed(32, float32),
  shape(1, 16, 65536, { ...float32, case: { batchInvariant: true }, against: 65536 }),
];

function distinct(shapes: readonly ScanShape[]): ScanShape[] {
  return [...new Map(shapes.map((each) => [JSON.stringify(each), each])).values()];
}

/** Real work of one scan: its elements, the bytes that it must move and the special functions that it must evaluate. */
export function workOf({ batch, dim, seqlen, dstate, dtype, z, case: special = {} }: ScanShape) {
  const { groups = 1, complexA, constantB, constantC, states, sequences = batch } = special;
  const elements = batch * dim * seqlen;
  const bytesPerValue = dtype === 'float32' ? 4 : 2;
  const parts = complexA ? 2 : 1;
  const constant = dim * dstate * parts * 4;
  const varying = batch * groups * dstate * parts * seqlen * bytesPerValue;
  const activations = elements * bytesPerValue * (z ? 4 : 3);
  const matrices = constant + (constantB ? constant : varying) + (constantC ? constant : varying);
  const ends = states ? 2 * sequences * constant : 0;
  // An exponential a state, with a sine and a cosine where it is complex; two functions for softplus; and for silu one
  // (tanh) or in float32 two.
  const functions = elements * (dstate * (complexA ? 3 : 1) + 2 + (z ? (dtype === 'float32' ? 2 : 1) : 0));
  return { elements, bytes: activations + matrices + dim * 2 * 4 + ends, functions };
}
