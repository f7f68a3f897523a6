// Runs the scan of a trained Mamba layer on real activations and compares it with a stored float64 result; then two whole
// models: one continues a text, the other recalls a token out of a long sequence.
import { fileURLToPath } from 'node:url';
import { devices, selectiveScanSync, synchronizeSync, Tensor } from 'selective-scan';
import { MambaForCausalLM } from 'selective-scan/mamba';
import { loadInductionHeads, recall } from './induction-heads.mjs';
import { readFloat32 } from './safetensors.mjs';

const bound = 5e-7;
const runs = 50;

const stored = readFloat32(fileURLToPath(new URL('data/scan-real-activations.safetensors', import.meta.url)));
const name = process.env.SELECTIVE_SCAN_DEVICE || 'auto';
const device = name === 'auto' ? devices().at(-1) : devices().find((found) => found.device === name);
if (!device) throw new Error(`There is no device '${name}' here.`);

const onDevice = ({ data, dims }) => Tensor.from(data, dims).toSync(device.device);
const { delta_bias: deltaBias, out, last_state: lastState, ...rest } = stored;
const inputs = Object.fromEntries(Object.entries({ ...rest, deltaBias }).map(([key, value]) => [key, onDevice(value)]));
const scan = () => selectiveScanSync({ ...inputs, deltaSoftplus: true, returnLastState: true });

const times = [];
for (let i = 0; i < runs; i++) {
  const start = process.hrtime.bigint();
  const result = scan();
  synchronizeSync(device.device);
  times.push(Number(process.hrtime.bigint() - start) / 1e9);
  result.out.dispose();
  result.lastState.dispose();
}
const seconds = times.sort((a, b) => a - b)[runs >> 1];

const result = scan();
const errorOf = (found, expected) => {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (found[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return Math.sqrt(difference / norm);
};
const outError = errorOf(await result.out.toArray(), out.data);
const stateError = errorOf(await result.lastState.toArray(), lastState.data);

const [batch, dim, seqlen] = stored.u.dims;
const about =
  device.device === 'cpu'
    ? `${device.vectorSet}, ${device.threads} threads`
    : `compute capability ${device.computeCapability}`;
console.log(`device   ${device.device}: ${device.name} (${about})`);
console.log('input    layer 3 of a trained Mamba language model, reading source code');
console.log(`shape    batch ${batch}, dim ${dim}, seqlen ${seqlen}, dstate ${stored.A.dims[1]}, float32`);
console.log(
  `time     ${(1e6 * seconds).toFixed(0)} us, median of ${runs}: ${((batch * dim * seqlen) / seconds).toExponential(2)} elements/s`,
);
console.log(
  `error    ${outError.toExponential(1)} against float64 (last state ${stateError.toExponential(1)}); at most ${bound} is right`,
);
if (!(outError <= bound)) process.exitCode = 1;

const prompt = 'import numpy as np\n\nclass ';
const tokens = 100;
const coder = await MambaForCausalLM.load(fileURLToPath(new URL('../models/tiny-code-lm', import.meta.url)), {
  device: device.device,
});
console.log(`\ntext     ${tokens} tokens of a model of 4 million weights, drawn at temperature 0.8\n`);
process.stdout.write(prompt);
const begin = performance.now();
for await (const piece of coder.generate(prompt, { maxTokens: tokens, temperature: 0.8, topP: 0.95, seed: 7 })) {
  process.stdout.write(piece);
}
console.log(`\n\nspeed    ${(tokens / ((performance.now() - begin) / 1e3)).toFixed(0)} tokens/s, prompt and all`);
coder.dispose();

const length = device.device === 'cpu' ? 65_536 : 1_048_576;
const reader = await loadInductionHeads(device.device);
const { found, answer, back, seconds: time } = await recall(reader, length);
console.log(
  `recall   token ${found} out of ${length}, ${back} tokens back, in ${time.toFixed(2)} s; ${answer} is right`,
);
reader.dispose();
if (found !== answer) process.exitCode = 1;
