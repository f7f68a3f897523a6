import { describe, expect, test } from '@jest/globals';
import { selectiveScan, selectiveScanSync } from 'selective-scan';
import { typedArrayOptions } from './support/call';
import { runChild } from './support/child';
import { expectBothRefuse, expectFailure, type LooseOptions, rejectionOf, thrownBy } from './support/failures';
import { type CaseSpec, randomCase } from './support/random-case';
import './support/patience';

const small: Partial<CaseSpec> = { batch: 2, dim: 4, seqlen: 6, dstate: 3 };
const dims = { batch: 2, dim: 4, seqlen: 6, dstate: 3, groups: 1 };

function withArrays(change: LooseOptions = {}, spec: Partial<CaseSpec> = {}): LooseOptions {
  return { ...typedArrayOptions(randomCase({ ...small, ...spec }), 'cpu'), ...change };
}

function withDims(change: LooseOptions): LooseOptions {
  return withArrays({ dims: { ...dims, ...change } });
}

function packed(cuSeqlens: unknown, spec: Partial<CaseSpec> = {}): LooseOptions {
  return withArrays({ cuSeqlens }, { batch: 1, ...spec });
}

function detached(length: number): Float32Array {
  const array = new Float32Array(length);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

/** batch * dim * seqlen is 2^64 + 8192, which 64 bits would take for 8192, the length of u. */
function wrapping(): LooseOptions {
  const [steps, perChannel] = [new Float32Array(8192), new Float32Array(8192 * 3)];
  return {
    ...{ u: steps, delta: steps, A: perChannel, B: perChannel, C: perChannel, constantB: true, constantC: true },
    ...{ dims: { batch: 1, dim: 8192, seqlen: 2 ** 51 + 1, dstate: 3 }, device: 'cpu' },
  };
}

type Row = [what: string, options: unknown, code: string, about: string];

const f32 = (length: number): Float32Array => new Float32Array(length);

const lengths: Row[] = [
  [
    'u too short',
    withArrays({ u: f32(47) }),
    'ERR_SHAPE',
    'u to have length batch * dim * seqlen = 48 but received 47',
  ],
  ['u too long', withArrays({ u: f32(49) }), 'ERR_SHAPE', 'u'],
  ['delta', withArrays({ delta: f32(47) }), 'ERR_SHAPE', 'delta'],
  ['A', withArrays({ A: f32(11) }), 'ERR_SHAPE', 'A'],
  ['B', withArrays({ B: f32(35) }), 'ERR_SHAPE', 'B'],
  ['C', withArrays({ C: f32(35) }), 'ERR_SHAPE', 'C'],
  ['D', withArrays({ D: f32(3) }), 'ERR_SHAPE', 'D'],
  ['z', withArrays({ z: f32(47) }), 'ERR_SHAPE', 'z'],
  ['deltaBias', withArrays({ deltaBias: f32(5) }), 'ERR_SHAPE', 'deltaBias'],
  ['initialState', withArrays({ initialState: f32(25) }), 'ERR_SHAPE', 'initialState'],
  [
    'initialState of a packed batch',
    { ...packed(Int32Array.of(0, 2, 6)), initialState: f32(12) },
    'ERR_SHAPE',
    'initialState',
  ],
  ['a real A called complex', withArrays({ complexA: true }), 'ERR_SHAPE', 'A'],
  ['a varying B called constant', withArrays({ constantB: true }), 'ERR_SHAPE', 'B'],
  ['a constant C called varying', withArrays({ constantC: false }, { constantC: true }), 'ERR_SHAPE', 'C'],
  ['a detached buffer', withArrays({ u: detached(48) }), 'ERR_SHAPE', 'u'],
  ['an empty A with batch 0', withArrays({ A: f32(0), dims: { ...dims, batch: 0 } }), 'ERR_SHAPE', ''],
];

const sizes: Row[] = [
  ['no seqlen', withDims({ seqlen: undefined }), 'ERR_SHAPE', 'seqlen'],
  ['dim 0', withDims({ dim: 0 }), 'ERR_SHAPE', 'dim'],
  ['seqlen 0', withDims({ seqlen: 0 }), 'ERR_SHAPE', 'seqlen'],
  ['dstate 0', withDims({ dstate: 0 }), 'ERR_SHAPE', 'dstate'],
  ['groups null', withDims({ groups: null }), 'ERR_SHAPE', 'groups'],
  ['groups 0', withDims({ groups: 0 }), 'ERR_SHAPE', 'groups'],
  ['a negative batch', withDims({ batch: -1 }), 'ERR_SHAPE', 'batch'],
  ['a fraction', withDims({ seqlen: 6.5 }), 'ERR_SHAPE', 'seqlen'],
  ['NaN', withDims({ dim: Number.NaN }), 'ERR_SHAPE', 'dim'],
  ['Infinity', withDims({ seqlen: Number.POSITIVE_INFINITY }), 'ERR_SHAPE', 'seqlen'],
  ['a string', withDims({ dim: '4' }), 'ERR_SHAPE', 'dim'],
  ['a bigint', withDims({ dim: 4n }), 'ERR_SHAPE', 'dim'],
  ['groups that do not divide dim', withDims({ groups: 3 }), 'ERR_SHAPE', 'groups'],
  ['a size past 2^53', withDims({ seqlen: 2 ** 53 }), 'ERR_SHAPE', 'seqlen'],
  ['a product past 2^53', withDims({ batch: 2 ** 27, dim: 2 ** 27 }), 'ERR_SHAPE', ''],
  ['a product past 2^63', withDims({ batch: 2 ** 31, dim: 2 ** 31, seqlen: 2 ** 31 }), 'ERR_SHAPE', ''],
  ['a product that wraps to the right length', wrapping(), 'ERR_SHAPE', ''],
];

const dtypes: Row[] = [
  ['no u', withArrays({ u: undefined }), 'ERR_DTYPE', 'u'],
  ['no delta', withArrays({ delta: undefined }), 'ERR_DTYPE', 'delta'],
  ['no A', withArrays({ A: undefined }), 'ERR_DTYPE', 'A'],
  ['no B', withArrays({ B: undefined }), 'ERR_DTYPE', 'B'],
  ['no C', withArrays({ C: undefined }), 'ERR_DTYPE', 'C'],
  ['u as float64', withArrays({ u: new Float64Array(48) }), 'ERR_DTYPE', 'u'],
  ['u as a plain array', withArrays({ u: Array(48).fill(0) }), 'ERR_DTYPE', 'u'],
  ['u as raw bits', withArrays({ u: new Uint16Array(48) }), 'ERR_DTYPE', 'u'],
  ['u as a buffer', withArrays({ u: new ArrayBuffer(192) }), 'ERR_DTYPE', 'u'],
  ['u as a view without a type', withArrays({ u: new DataView(new ArrayBuffer(192)) }), 'ERR_DTYPE', 'u'],
  ['u as a string', withArrays({ u: 'u' }), 'ERR_DTYPE', 'u'],
  ['delta as integers', withArrays({ delta: new Int32Array(48) }), 'ERR_DTYPE', 'delta'],
  ['A as float64', withArrays({ A: new Float64Array(12) }), 'ERR_DTYPE', 'A'],
  ['D as a number', withArrays({ D: 1 }), 'ERR_DTYPE', 'D'],
  ['z as float64', withArrays({ z: new Float64Array(48) }), 'ERR_DTYPE', 'z'],
  ['deltaBias as float64', withArrays({ deltaBias: new Float64Array(4) }), 'ERR_DTYPE', 'deltaBias'],
  ['initialState as float64', withArrays({ initialState: new Float64Array(24) }), 'ERR_DTYPE', 'initialState'],
  ['cuSeqlens as floats', packed(Float32Array.of(0, 6)), 'ERR_DTYPE', 'cuSeqlens'],
  ['cuSeqlens as a plain array', packed([0, 6]), 'ERR_DTYPE', 'cuSeqlens'],
];

const packing: Row[] = [
  ['not from 0', packed(Int32Array.of(1, 6)), 'ERR_SHAPE', 'cuSeqlens'],
  ['ends before seqlen', packed(Int32Array.of(0, 5)), 'ERR_SHAPE', 'cuSeqlens'],
  ['ends after seqlen', packed(Int32Array.of(0, 7)), 'ERR_SHAPE', 'cuSeqlens'],
  ['negative', packed(Int32Array.of(0, -1, 6)), 'ERR_SHAPE', 'cuSeqlens'],
  ['falls', packed(Int32Array.of(0, 4, 3, 6)), 'ERR_SHAPE', 'cuSeqlens'],
  ['passes seqlen and comes back', packed(Int32Array.of(0, 9, 6)), 'ERR_SHAPE', 'cuSeqlens'],
  ['one entry', packed(Int32Array.of(0)), 'ERR_SHAPE', 'cuSeqlens'],
  ['no entry', packed(new Int32Array(0)), 'ERR_SHAPE', 'cuSeqlens'],
  ['more than one batch entry', packed(Int32Array.of(0, 6), { batch: 2 }), 'ERR_SHAPE', 'batch'],
];

/** Options of which one throws when it is read. */
function throwing(name: string, given: LooseOptions = withArrays()): LooseOptions {
  return Object.defineProperty(given, name, { get: callersError, enumerable: true });
}

function callersError(): never {
  throw new Error("the caller's");
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const options: Row[] = [
  ['no options', undefined, 'ERR_OPTION', 'options'],
  ['null', null, 'ERR_OPTION', 'options'],
  ['a string', 'scan', 'ERR_OPTION', 'options'],
  ['no dims', withArrays({ dims: undefined }), 'ERR_OPTION', 'dims'],
  ['dims as an array', withArrays({ dims: [2, 4, 6, 3] }), 'ERR_OPTION', 'dims'],
  ['an unknown name', withArrays({ deltaSoftPlus: true }), 'ERR_OPTION', 'deltaSoftPlus'],
  ['a name of mamba_ssm', withArrays({ return_last_state: true }), 'ERR_OPTION', 'return_last_state'],
  ['an unknown size', withDims({ length: 6 }), 'ERR_OPTION', 'length'],
  ['deltaSoftplus as a number', withArrays({ deltaSoftplus: 1 }), 'ERR_OPTION', 'deltaSoftplus'],
  ['returnLastState as a string', withArrays({ returnLastState: 'yes' }), 'ERR_OPTION', 'returnLastState'],
  ['complexA as a number', withArrays({ complexA: 1 }), 'ERR_OPTION', 'complexA'],
  ['constantB as a string', withArrays({ constantB: 'no' }), 'ERR_OPTION', 'constantB'],
  ['constantC as a number', withArrays({ constantC: 0 }), 'ERR_OPTION', 'constantC'],
  ['an unknown layout', withArrays({ layout: 'ldb' }), 'ERR_OPTION', 'layout'],
  ['layout as a number', withArrays({ layout: 1 }), 'ERR_OPTION', 'layout'],
  ['layout as a revoked proxy', withArrays({ layout: revoked() }), 'ERR_OPTION', 'layout'],
  ['options that are a revoked proxy', revoked(), 'ERR_OPTION', 'options'],
  ['an option that throws when it is read', throwing('C'), 'ERR_OPTION', 'options'],
  ['a size that throws when it is read', withArrays({ dims: throwing('dim', { ...dims }) }), 'ERR_OPTION', 'dims'],
];

const places: Row[] = [
  ['an unknown device', withArrays({ device: 'tpu' }), 'ERR_DEVICE', 'tpu'],
  ['an empty name', withArrays({ device: '' }), 'ERR_DEVICE', 'device'],
  ['no string', withArrays({ device: 0 }), 'ERR_DEVICE', 'device'],
  ['a GPU that is not there', withArrays({ device: 'cuda:99' }), 'ERR_DEVICE', 'cuda:99'],
  ['a negative index', withArrays({ device: 'cuda:-1' }), 'ERR_DEVICE', 'cuda:-1'],
  ['no index', withArrays({ device: 'cuda:' }), 'ERR_DEVICE', 'cuda:'],
  ['an index past 2^32', withArrays({ device: 'cuda:4294967296' }), 'ERR_DEVICE', 'cuda:4294967296'],
  ['an index of the CPU', withArrays({ device: 'cpu:0' }), 'ERR_DEVICE', 'cpu:0'],
];

describe.each([
  ['length', lengths],
  ['size', sizes],
  ['dtype', dtypes],
  ['packing', packing],
  ['option', options],
  ['device', places],
])('a wrong %s is refused', (_topic, rows) => {
  test.each(rows)('%s', async (_what, given, code, about) => {
    await expectBothRefuse(given, { code, about });
  });
});

function listening(addEventListener: () => void, removeEventListener: () => void): object {
  return { aborted: false, addEventListener, removeEventListener };
}

describe('signals', () => {
  test('the blocking form takes none', () => {
    const given = withArrays({ signal: new AbortController().signal });
    expectFailure(
      thrownBy(() => selectiveScanSync(given as any)),
      { code: 'ERR_OPTION', about: 'signal' },
    );
  });

  test.each([
    ['a string', 'stop'],
    ['an object that cannot stop listening', { aborted: false, addEventListener: () => undefined }],
    ['an object that throws when it is asked', throwing('aborted', {})],
    ['an object that throws when it is listened to', listening(callersError, () => undefined)],
    ['an object that throws when it is left', listening(() => undefined, callersError)],
  ])('what is no signal is refused: %s', async (_what, signal) => {
    const rejection = await rejectionOf(selectiveScan(withArrays({ signal }) as any));
    expectFailure(rejection, { code: 'ERR_OPTION', about: 'signal' });
  });

  test('one that was aborted before', async () => {
    const reason = new Error('no longer wanted');
    const rejection = await rejectionOf(selectiveScan(withArrays({ signal: AbortSignal.abort(reason) }) as any));
    expectFailure(rejection, { code: 'ERR_ABORTED', about: '' });
  });

  test('one that is never aborted does nothing', async () => {
    const result = await selectiveScan(withArrays({ signal: new AbortController().signal }) as any);
    expect(result.out).toHaveLength(48);
  });
});

test.each(['tpu', 'cuda:99'])('SELECTIVE_SCAN_DEVICE=%s is refused', async (device) => {
  const child = await runChild('scan-on-auto', [], { env: { SELECTIVE_SCAN_DEVICE: device } });
  expect(child).toMatchObject({ code: 0, stdout: expect.stringContaining('ERR_DEVICE') });
});

test("an error of the caller's own code is the cause of ours", () => {
  const error = thrownBy(() => selectiveScanSync(throwing('C') as any));
  expect((error as Error).cause).toMatchObject({ message: "the caller's" });
});

test('an array that loses its memory while dims are read is refused', () => {
  const u = new Float32Array(48);
  const taking = { ...dims };
  const takeMemory = () => {
    structuredClone(u.buffer, { transfer: [u.buffer] });
    return dims.batch;
  };
  Object.defineProperty(taking, 'batch', { get: takeMemory, enumerable: true });
  expectFailure(
    thrownBy(() => selectiveScanSync(withArrays({ u, dims: taking }) as any)),
    { code: 'ERR_SHAPE', about: 'u' },
  );
});

test('a call that failed leaves the next one alone', async () => {
  thrownBy(() => selectiveScanSync(withArrays({ u: f32(47) }) as any));
  expect((await selectiveScan(withArrays() as any)).out).toHaveLength(48);
});
