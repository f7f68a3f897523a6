import { type FloatDType, type GenerateOptions, MambaForCausalLM, type Prompt } from 'selective-scan/mamba';
import { trainedModel } from './model-files';

/** The model that tests of generation use: it has a tokenizer, and takes a moment to load. */
export const loadTextModel = (device: string): Promise<MambaForCausalLM> =>
  MambaForCausalLM.load(trainedModel('tiny-code-lm'), { device, dtype: 'float32' });

/** A random model of a small vocabulary, in which a step takes no time. */
export const loadRandomModel = (device: string, change: object = {}, dtype?: FloatDType): Promise<MambaForCausalLM> =>
  MambaForCausalLM.fromConfig(
    {
      ...{
        model_type: 'mamba',
        vocab_size: 61,
        hidden_size: 24,
        intermediate_size: 40,
        state_size: 5,
        time_step_rank: 3,
      },
      ...{ num_hidden_layers: 3, use_bias: true, tie_word_embeddings: false, bos_token_id: null, eos_token_id: null },
      ...change,
    },
    { device, dtype },
  );

export async function tokensOf(
  model: MambaForCausalLM,
  prompt: Prompt,
  options: GenerateOptions = {},
): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of model.generateTokens(prompt, options)) tokens.push(token);
  return tokens;
}

export async function textOf(model: MambaForCausalLM, prompt: Prompt, options: GenerateOptions = {}): Promise<string> {
  let text = '';
  for await (const piece of model.generate(prompt, options)) text += piece;
  return text;
}
