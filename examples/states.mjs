// A model's state is all it remembers: a text can be forked, rewound, and gone on with another day.
import { fileURLToPath } from 'node:url';
import { MambaForCausalLM } from 'selective-scan/mamba';

const model = await MambaForCausalLM.load(fileURLToPath(new URL('../models/tiny-code-lm', import.meta.url)));

/** Goes on from a state, which then has the new text as well. */
async function goOn(state, prompt, maxTokens = 12) {
  let text = prompt;
  for await (const piece of model.generate(prompt, { state, maxTokens })) text += piece;
  return JSON.stringify(text);
}

// Read a beginning once ...
const state = model.newState();
await model.forward(model.tokenizer.encode('import os\nimport sys\n\n\n'), { state });

// ... and go on from it twice.
const fork = state.clone();
console.log('one way   ', await goOn(state, 'def read('));
console.log('another   ', await goOn(fork, 'class Writer'));

// Go on from both, where each of them was.
console.log('one way   ', await goOn(state, '\n    return'));
console.log('another   ', await goOn(fork, '\n    def'));

// Bytes that a later process, or another device, restores.
const bytes = await state.save();
const restored = await model.restoreState(bytes);
console.log(`restored   ${bytes.length} bytes`);
const [before, after] = [await goOn(state, '\n\n'), await goOn(restored, '\n\n')];
console.log(before === after ? 'the same   ' : 'different  ', after);
if (before !== after) process.exitCode = 1;

for (const one of [state, fork, restored]) one.dispose();
model.dispose();
