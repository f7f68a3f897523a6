// Asks a trained model to recall one token out of a long random sequence: the task of "induction heads" (Gu and Dao 2023,
// section 4.1.2). Tokens 0 to 15 are noise. Token 16 stands once somewhere, followed by the answer, and once more at the end.
// Usage: node examples/induction-heads.mjs [tokens] [device]
import { fileURLToPath } from 'node:url';
import { MambaForCausalLM } from 'selective-scan/mamba';

const marker = 16;

/** A sequence of that length, and what has to follow it. */
function question(length, random) {
  const tokens = Int32Array.from({ length }, () => Math.floor(16 * random()));
  const at = Math.floor((length - 2) * random());
  tokens[at] = marker;
  tokens[length - 1] = marker;
  return { tokens, answer: tokens[at + 1], back: length - 2 - at };
}

/** Reads the sequence once, through the scan; what was found, what was asked for, and the time it took. */
export async function recall(model, length, random = Math.random) {
  const { tokens, answer, back } = question(length, random);
  const start = performance.now();
  let found;
  for await (const { token } of model.generateTokens(tokens, { maxTokens: 1 })) found = token;
  return { found, answer, back, seconds: (performance.now() - start) / 1e3 };
}

export const loadInductionHeads = (device) =>
  MambaForCausalLM.load(fileURLToPath(new URL('../models/induction-heads', import.meta.url)), { device });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [length = 65_536, device] = process.argv.slice(2);
  const model = await loadInductionHeads(device);
  const { found, answer, back, seconds } = await recall(model, Number(length));
  console.log(`token ${found}, seen ${back} tokens back of ${length}; ${answer} is right; ${seconds.toFixed(2)} s`);
  if (found !== answer) process.exitCode = 1;
}
