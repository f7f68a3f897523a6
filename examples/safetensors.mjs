// Reads a safetensors file: an 8-byte little-endian header length, a JSON header, then the data it points into.
// https://github.com/huggingface/safetensors#format
import { readFileSync } from 'node:fs';

/** The float32 tensors of a file, as { name: { dims, data } }. */
export function readFloat32(path) {
  const file = readFileSync(path);
  const bytes = new Uint8Array(file);
  const headerEnd = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, headerEnd));
  delete header.__metadata__;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (dtype !== 'F32') throw new Error(`Expected ${name} to be F32 but received ${dtype}.`);
    // A copy, because the data need not begin at a multiple of four bytes.
    const data = bytes.slice(headerEnd + offsets[0], headerEnd + offsets[1]);
    tensors[name] = { dims: shape, data: new Float32Array(data.buffer) };
  }
  return tensors;
}
