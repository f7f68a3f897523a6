import { type FloatDType, type GenerateOptions, MambaForCausalLM, type Prompt } from 'selective-scan/mamba';
import { trainedModel } from './model-files';

/** The model that tests of generation use: it has a tokenizer, and takes a moment to load. */
export const loadTextModel = (device: string): Promise<MambaForCausalLM> =>
  MambaForCausalLM.load(trainedModel('tiny-code-lm'), { device, dtype: 'float32' });

/** A random model of a small vocabulary, in which a step takes no time. */
export const loadRandomModel = (device: string, change: object = {}, dtype?: FloatDType): Promise<MambaForCausalLM> =>
  MambaForCausalLM.fromConfig(
    {
      ...{ modelType: 'mamba', vocabSize: 61, hiddenSize: 24, intermediateSize: 40, stateSize: 5, convKernel: 4 },
      ...{ timeStepRank: 3, numHiddenLayers: 3, useBias: true, useConvBias: true, layerNormEpsilon: 1e-5 },
      ...{ mixerRmsEps: undefined, residualInFp32: true, tieWordEmbeddings: false, bosTokenId: undefined },
      ...{ padTokenId: undefined, eosTokenIds: [], dtype: 'float32', ...change },
    } as Parameters<typeof MambaForCausalLM.fromConfig>[0],
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
