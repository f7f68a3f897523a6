import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type MambaConfig, parseMambaConfig } from 'selective-scan/mamba';
import { expectFailure, thrownBy } from './support/failures';
import { checkpointNames, goldenCheckpoint, modelNames, trainedModel } from './support/model-files';

/** transformers' MambaConfig() and FalconMambaConfig(). */
const defaults: MambaConfig = {
  modelType: 'mamba',
  vocabSize: 50280,
  hiddenSize: 768,
  intermediateSize: 1536,
  stateSize: 16,
  convKernel: 4,
  timeStepRank: 48,
  numHiddenLayers: 32,
  useBias: false,
  useConvBias: true,
  layerNormEpsilon: 1e-5,
  mixerRmsEps: undefined,
  residualInFp32: true,
  tieWordEmbeddings: true,
  bosTokenId: 0,
  padTokenId: 0,
  eosTokenIds: [0],
  dtype: undefined,
};
const mamba = { model_type: 'mamba' };
const falcon = { model_type: 'falcon_mamba' };

describe('a field left out, and given', () => {
  const rows: [what: string, json: object, change: Partial<MambaConfig>][] = [
    ['nothing given', mamba, {}],
    ['nothing of Falcon-Mamba given', falcon, { modelType: 'falcon_mamba', mixerRmsEps: 1e-6 }],
    ['mixer_rms_eps', { ...falcon, mixer_rms_eps: 1e-5 }, { modelType: 'falcon_mamba', mixerRmsEps: 1e-5 }],
    ['mixer_rms_eps where there is no such norm', { ...mamba, mixer_rms_eps: 1e-5 }, {}],
    ['vocab_size', { ...mamba, vocab_size: 65024 }, { vocabSize: 65024 }],
    [
      'hidden_size, on which others depend',
      { ...mamba, hidden_size: 2561 },
      { hiddenSize: 2561, intermediateSize: 5122, timeStepRank: 161 },
    ],
    ['expand', { ...mamba, expand: 3 }, { intermediateSize: 2304 }],
    [
      'a fraction as expand',
      { ...mamba, expand: 1.5, hidden_size: 33 },
      { intermediateSize: 49, hiddenSize: 33, timeStepRank: 3 },
    ],
    ['intermediate_size', { ...mamba, intermediate_size: 1000 }, { intermediateSize: 1000 }],
    ['intermediate_size against expand', { ...mamba, intermediate_size: 1000, expand: 16 }, { intermediateSize: 1000 }],
    ['state_size', { ...mamba, state_size: 128 }, { stateSize: 128 }],
    ['conv_kernel', { ...mamba, conv_kernel: 3 }, { convKernel: 3 }],
    ['time_step_rank', { ...mamba, time_step_rank: 5 }, { timeStepRank: 5 }],
    [
      "time_step_rank 'auto'",
      { ...mamba, time_step_rank: 'auto', hidden_size: 17 },
      { hiddenSize: 17, intermediateSize: 34, timeStepRank: 2 },
    ],
    ['num_hidden_layers', { ...mamba, num_hidden_layers: 64 }, { numHiddenLayers: 64 }],
    ['use_bias', { ...mamba, use_bias: true }, { useBias: true }],
    ['use_conv_bias', { ...mamba, use_conv_bias: false }, { useConvBias: false }],
    ['layer_norm_epsilon', { ...mamba, layer_norm_epsilon: 1e-6 }, { layerNormEpsilon: 1e-6 }],
    ['residual_in_fp32', { ...mamba, residual_in_fp32: false }, { residualInFp32: false }],
    ['tie_word_embeddings', { ...mamba, tie_word_embeddings: false }, { tieWordEmbeddings: false }],
    ['bos_token_id', { ...mamba, bos_token_id: 1 }, { bosTokenId: 1 }],
    ['bos_token_id null', { ...mamba, bos_token_id: null }, { bosTokenId: undefined }],
    ['pad_token_id', { ...mamba, pad_token_id: 2 }, { padTokenId: 2 }],
    ['eos_token_id', { ...mamba, eos_token_id: 11 }, { eosTokenIds: [11] }],
    ['several of eos_token_id', { ...mamba, eos_token_id: [11, 10] }, { eosTokenIds: [11, 10] }],
    ['eos_token_id null', { ...mamba, eos_token_id: null }, { eosTokenIds: [] }],
    ['torch_dtype', { ...mamba, torch_dtype: 'bfloat16' }, { dtype: 'bfloat16' }],
    ['dtype before torch_dtype', { ...mamba, dtype: 'float16', torch_dtype: 'bfloat16' }, { dtype: 'float16' }],
    ['dtype null', { ...mamba, dtype: null }, {}],
    ['hidden_act by its other name', { ...mamba, hidden_act: 'swish' }, {}],
    ['fields of no use', { ...mamba, time_step_floor: 'x', d_model: -1, quantization_config: null }, {}],
  ];

  test.each(rows)('%s', (_, json, change) => {
    expect(parseMambaConfig(json)).toEqual({ ...defaults, ...change });
  });
});

describe('published configs', () => {
  const common = {
    bos_token_id: 0,
    conv_kernel: 4,
    expand: 2,
    hidden_act: 'silu',
    layer_norm_epsilon: 1e-5,
    state_size: 16,
    use_bias: false,
    use_conv_bias: true,
  };
  const shared = { ...common, residual_in_fp32: true, time_step_scale: 1, use_cache: true };

  // What matters of the files on Hugging Face; d_model and the like are left from before the conversion.
  test.each([
    [
      'state-spaces/mamba-130m-hf',
      {
        ...shared,
        ...mamba,
        d_inner: 1536,
        d_model: 768,
        eos_token_id: 0,
        hidden_size: 768,
        intermediate_size: 1536,
        n_layer: 24,
        num_hidden_layers: 24,
        pad_token_id: 0,
        rms_norm: true,
        ssm_cfg: {},
        time_step_rank: 48,
        torch_dtype: 'float32',
        vocab_size: 50280,
      },
      { numHiddenLayers: 24, dtype: 'float32' },
    ],
    [
      'tiiuae/falcon-mamba-7b',
      {
        ...shared,
        ...falcon,
        eos_token_id: 11,
        expand: 16,
        hidden_size: 4096,
        intermediate_size: 8192,
        mixer_rms_eps: 1e-6,
        num_hidden_layers: 64,
        pad_token_id: 0,
        tie_word_embeddings: false,
        time_step_rank: 256,
        torch_dtype: 'bfloat16',
        vocab_size: 65024,
      },
      {
        modelType: 'falcon_mamba',
        eosTokenIds: [11],
        hiddenSize: 4096,
        intermediateSize: 8192,
        mixerRmsEps: 1e-6,
        numHiddenLayers: 64,
        tieWordEmbeddings: false,
        timeStepRank: 256,
        dtype: 'bfloat16',
        vocabSize: 65024,
      },
    ],
  ])('%s', (_, json, change) => {
    expect(parseMambaConfig(json)).toEqual({ ...defaults, ...change });
  });

  test.each(
    [...checkpointNames.map(goldenCheckpoint), ...modelNames.map(trainedModel)].map((path) => [
      path.split(/[\\/]/).at(-1),
      path,
    ]),
  )('%s of this repository', (_, folder) => {
    const json = JSON.parse(readFileSync(join(folder as string, 'config.json'), 'utf8'));
    expect(parseMambaConfig(json)).toMatchObject({
      modelType: json.model_type,
      vocabSize: json.vocab_size,
      hiddenSize: json.hidden_size,
      intermediateSize: json.intermediate_size,
      stateSize: json.state_size,
      convKernel: json.conv_kernel,
      timeStepRank: json.time_step_rank,
      numHiddenLayers: json.num_hidden_layers,
      useBias: json.use_bias,
      useConvBias: json.use_conv_bias,
      tieWordEmbeddings: json.tie_word_embeddings,
      bosTokenId: json.bos_token_id ?? undefined,
      eosTokenIds: json.eos_token_id === null ? [] : [json.eos_token_id],
      dtype: json.dtype ?? json.torch_dtype,
    });
  });
});

describe('fields that are wrong', () => {
  const sizes = [
    'vocab_size',
    'hidden_size',
    'intermediate_size',
    'state_size',
    'conv_kernel',
    'time_step_rank',
    'num_hidden_layers',
  ];
  const notSizes = [0, -1, 1.5, 2 ** 31, 1e300, '16', null, true, [16], {}];
  test.each(sizes.flatMap((field) => notSizes.map((value) => [field, JSON.stringify(value), value])))(
    '%s %s',
    (field, _, value) => {
      const about = `Expected ${field} of config.json to be a whole number from 1 to `;
      expectFailure(
        thrownBy(() => parseMambaConfig({ ...mamba, [field as string]: value })),
        { code: 'ERR_CHECKPOINT', about },
      );
    },
  );

  const flags = ['use_bias', 'use_conv_bias', 'residual_in_fp32', 'tie_word_embeddings'];
  test.each(flags.flatMap((field) => [0, 1, 'true', null, []].map((value) => [field, JSON.stringify(value), value])))(
    '%s %s',
    (field, _, value) => {
      const about = `Expected ${field} of config.json to be true or false`;
      expectFailure(
        thrownBy(() => parseMambaConfig({ ...mamba, [field as string]: value })),
        { code: 'ERR_CHECKPOINT', about },
      );
    },
  );

  const rows: [json: unknown, code: string, about: string][] = [
    [{}, 'ERR_CHECKPOINT', "Expected model_type of config.json to be 'mamba' or 'falcon_mamba' but received nothing."],
    [{ model_type: 'mamba2' }, 'ERR_UNSUPPORTED', "but received 'mamba2'."],
    [{ model_type: ['mamba'] }, 'ERR_CHECKPOINT', 'model_type'],
    [{ model_type: null }, 'ERR_CHECKPOINT', 'model_type'],
    [{ ...mamba, hidden_act: 'gelu' }, 'ERR_UNSUPPORTED', 'hidden_act'],
    [{ ...mamba, hidden_act: null }, 'ERR_CHECKPOINT', 'hidden_act'],
    [{ ...mamba, quantization_config: { load_in_4bit: true } }, 'ERR_UNSUPPORTED', 'quantization_config'],
    [{ ...mamba, num_hidden_layers: 5000 }, 'ERR_CHECKPOINT', 'num_hidden_layers'],
    [{ ...mamba, time_step_rank: 'Auto' }, 'ERR_CHECKPOINT', 'time_step_rank'],
    [{ ...mamba, expand: 0 }, 'ERR_CHECKPOINT', 'expand'],
    [{ ...mamba, expand: -2 }, 'ERR_CHECKPOINT', 'expand'],
    [{ ...mamba, expand: '2' }, 'ERR_CHECKPOINT', 'expand'],
    [{ ...mamba, expand: 1e9 }, 'ERR_CHECKPOINT', 'expand'],
    [{ ...mamba, expand: Number.NaN }, 'ERR_CHECKPOINT', 'expand'],
    [{ ...mamba, layer_norm_epsilon: -1e-5 }, 'ERR_CHECKPOINT', 'layer_norm_epsilon'],
    [{ ...mamba, layer_norm_epsilon: '1e-5' }, 'ERR_CHECKPOINT', 'layer_norm_epsilon'],
    [{ ...mamba, layer_norm_epsilon: Number.POSITIVE_INFINITY }, 'ERR_CHECKPOINT', 'layer_norm_epsilon'],
    [{ ...falcon, mixer_rms_eps: null }, 'ERR_CHECKPOINT', 'mixer_rms_eps'],
    [{ ...mamba, bos_token_id: -1 }, 'ERR_CHECKPOINT', 'bos_token_id'],
    [{ ...mamba, bos_token_id: [0] }, 'ERR_CHECKPOINT', 'bos_token_id'],
    [{ ...mamba, pad_token_id: 0.5 }, 'ERR_CHECKPOINT', 'pad_token_id'],
    [
      { ...mamba, eos_token_id: 50280 },
      'ERR_CHECKPOINT',
      'eos_token_id of config.json to be null or token ids below the vocab_size',
    ],
    [{ ...mamba, eos_token_id: [0, '1'] }, 'ERR_CHECKPOINT', 'eos_token_id'],
    [{ ...mamba, torch_dtype: 'float64' }, 'ERR_CHECKPOINT', 'torch_dtype'],
    [{ ...mamba, dtype: 'torch.float32', torch_dtype: 'float32' }, 'ERR_CHECKPOINT', 'Expected dtype'],
    [[], 'ERR_CHECKPOINT', 'an object'],
    [null, 'ERR_CHECKPOINT', 'an object'],
    ['mamba', 'ERR_CHECKPOINT', 'an object'],
  ];
  test.each(rows.map((row) => [JSON.stringify(row[0]), ...row] as const))('%s', (_, json, code, about) => {
    expectFailure(
      thrownBy(() => parseMambaConfig(json)),
      { code, about },
    );
  });
});
