import { createHash } from 'node:crypto';
import { checkpointError, quoted } from './checkpoint-error.js';
import { parseJsonObject } from './json.js';
import type { ModelWeights } from './model-weights.js';

/** What a state's bytes are about; a restored state has to be of the same. */
export interface SavedSizes {
  /** Of the weights, see fingerprint(). */
  readonly model: string;
  readonly batch: number;
  readonly layers: number;
  /** Channels and inputs of the convolution that a layer keeps. */
  readonly conv: readonly number[];
  /** Channels and states. */
  readonly scan: readonly number[];
}

/** Values of one layer, batch entry by batch entry. */
export interface SavedLayer {
  readonly conv: Float32Array;
  readonly scan: Float32Array;
}

const magic = 'SSMSTATE';
const version = 1;
const prefixBytes = 16; // the magic, and version and header length as uint32
const checksumBytes = 32;
const longestHeader = 4096;

/**
 * A state as bytes, little-endian: 'SSMSTATE', version, the length of a JSON header, the header, each layer's convolution
 * inputs and scan states in float32, and the SHA-256 of all that.
 */
export function packState(sizes: SavedSizes, layers: readonly SavedLayer[]): Uint8Array {
  const header = new TextEncoder().encode(JSON.stringify(sizes));
  const bytes = new Uint8Array(prefixBytes + header.length + dataBytes(sizes) + checksumBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(magic));
  view.setUint32(8, version, true);
  view.setUint32(12, header.length, true);
  bytes.set(header, prefixBytes);
  let at = prefixBytes + header.length;
  for (const { conv, scan } of layers) {
    for (const values of [conv, scan]) {
      bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
      at += values.byteLength;
    }
  }
  bytes.set(checksum(bytes.subarray(0, at)), at);
  return bytes;
}

/** The layers that bytes hold of a model of these sizes, and the batch; ERR_CHECKPOINT says why they do not. */
export function unpackState(bytes: Uint8Array, expected: Omit<SavedSizes, 'batch'>): [number, SavedLayer[]] {
  const { batch, start } = readHeader(bytes, expected);
  const sizes = { ...expected, batch };
  const length = start + dataBytes(sizes) + checksumBytes;
  if (bytes.length !== length) throw checkpointError(`a saved state of ${length} bytes`, `${bytes.length}`);
  const end = bytes.length - checksumBytes;
  if (!checksum(bytes.subarray(0, end)).equals(bytes.subarray(end))) {
    throw checkpointError('a saved state as it was saved', 'one that has been altered: its checksum differs');
  }
  let at = start;
  const take = (dims: readonly number[]) => {
    const size = 4 * batch * elements(dims);
    at += size;
    return new Float32Array(bytes.slice(at - size, at).buffer);
  };
  const layers = Array.from({ length: sizes.layers }, () => ({ conv: take(sizes.conv), scan: take(sizes.scan) }));
  return [batch, layers];
}

/** A mark of a model, the same in any dtype: of the weights that are float32 in all of them. */
export async function fingerprint({ layers, finalNorm }: ModelWeights): Promise<string> {
  const hash = createHash('sha256');
  const first = layers[0] as ModelWeights['layers'][number];
  for (const tensor of [finalNorm, first.norm, first.conv.weight, first.deltaBias, first.D]) {
    hash.update(new Uint8Array((await tensor.toArray()).buffer));
  }
  return hash.digest('hex').slice(0, 32);
}

function readHeader(bytes: Uint8Array, expected: Omit<SavedSizes, 'batch'>): { batch: number; start: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isOurs = bytes.length > prefixBytes && Buffer.from(bytes.subarray(0, 8)).toString('latin1') === magic;
  if (!isOurs) throw checkpointError('bytes that save() of a state made', 'others');
  const found = view.getUint32(8, true);
  if (found !== version) throw checkpointError(`a saved state of version ${version}`, `version ${found}`);
  const start = prefixBytes + view.getUint32(12, true);
  if (start > Math.min(bytes.length, longestHeader)) throw checkpointError('a saved state with its header', 'a part');
  const { batch, ...sizes } = parseJsonObject(bytes.subarray(prefixBytes, start), 'the header of the saved state');
  for (const [name, value] of Object.entries(expected)) {
    const saved = JSON.stringify(sizes[name]);
    const ours = JSON.stringify(value);
    if (saved !== ours) throw checkpointError(`a state saved by this model, with ${name} ${ours},`, quoted(`${saved}`));
  }
  if (!Number.isInteger(batch) || (batch as number) < 1)
    throw checkpointError('a saved state with a batch', `${batch}`);
  return { batch: batch as number, start };
}

function dataBytes({ batch, layers, conv, scan }: SavedSizes): number {
  return 4 * batch * layers * (elements(conv) + elements(scan));
}

function elements(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
