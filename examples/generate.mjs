// Continues a text with a model of a folder in Hugging Face's layout, and says how likely the model finds another.
// Usage: node examples/generate.mjs [folder] [prompt]
import { fileURLToPath } from 'node:url';
import { MambaForCausalLM } from 'selective-scan/mamba';

const [folder = fileURLToPath(new URL('../models/tiny-code-lm', import.meta.url)), prompt = 'def add(a, b):\n'] =
  process.argv.slice(2);
const model = await MambaForCausalLM.load(folder);

process.stdout.write(prompt);
for await (const piece of model.generate(prompt, { maxTokens: 60, temperature: 0.7, seed: 1, stop: '\n\n\n' })) {
  process.stdout.write(piece);
}

// Greedy, token by token, with each token's log-probability.
console.log('\n\ntoken    logprob  text');
for await (const { token, logprob, text } of model.generateTokens('import ', { maxTokens: 5, logprobs: true })) {
  console.log(`${String(token).padEnd(8)} ${logprob.toFixed(3).padStart(7)}  ${JSON.stringify(text)}`);
}

// Several prompts at once; each gets what it would get alone.
const prompts = ['for i in ', 'class Error(', 'if __name__ == '];
const texts = [...prompts];
for await (const { index, text } of model.generateBatch(prompts, { maxTokens: 8 })) texts[index] += text;
console.log(`\n${texts.map((text) => JSON.stringify(text)).join('\n')}`);

console.log(`\nperplexity ${(await model.perplexity('for i in range(10):\n    print(i)\n')).toFixed(1)}`);
model.dispose();
