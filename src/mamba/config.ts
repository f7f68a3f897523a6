import { SelectiveScanError } from '../errors.js';
import { checkpointError } from './checkpoint-error.js';
import { type FloatDType, isFloatDType } from './float-conversion.js';
import { isJsonObject, type JsonObject, kindOf } from './json.js';

/** What a Mamba is made of: the fields of config.json that the model uses, checked, by the names of transformers. */
export interface MambaConfig {
  readonly modelType: 'mamba' | 'falcon_mamba';
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** Channels of the convolution and the scan. */
  readonly intermediateSize: number;
  readonly stateSize: number;
  readonly convKernel: number;
  readonly timeStepRank: number;
  readonly numHiddenLayers: number;
  /** Whether in_proj and out_proj have biases. */
  readonly useBias: boolean;
  readonly useConvBias: boolean;
  readonly layerNormEpsilon: number;
  /** Of the RMS norms, without weights, of B, C and delta in Falcon-Mamba; undefined in Mamba, which has none. */
  readonly mixerRmsEps: number | undefined;
  readonly residualInFp32: boolean;
  /** Whether the head is the embedding's matrix. */
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  /** Any of these ends a text. */
  readonly eosTokenIds: readonly number[];
  /** The dtype that the model was saved in, if the file says. */
  readonly dtype: FloatDType | undefined;
}

/** Far more than any model has, and little enough for its tensors' names to be listed. */
const mostLayers = 4096;

/** Sizes are at most those that an int32 can hold. */
const mostSize = 2 ** 31 - 1;

/**
 * Reads the parsed config.json of a Mamba or Falcon-Mamba as transformers saves it; fields left out have transformers'
 * defaults. ERR_CHECKPOINT names a field that is not as it has to be; ERR_UNSUPPORTED is for a model of another kind.
 */
export function parseMambaConfig(json: unknown): MambaConfig {
  if (!isJsonObject(json)) throw checkpointError('config.json to hold an object', kindOf(json));
  const modelType = oneOf(json, 'model_type', ['mamba', 'falcon_mamba']);
  oneOf(json, 'hidden_act', ['silu', 'swish'], 'silu');
  refuseQuantized(json);

  const vocabSize = size(json, 'vocab_size', 50280);
  const hiddenSize = size(json, 'hidden_size', 768);
  return Object.freeze<MambaConfig>({
    modelType,
    vocabSize,
    hiddenSize,
    intermediateSize: intermediateSize(json, hiddenSize),
    stateSize: size(json, 'state_size', 16),
    convKernel: size(json, 'conv_kernel', 4),
    timeStepRank:
      json.time_step_rank === 'auto' ? rankOf(hiddenSize) : size(json, 'time_step_rank', rankOf(hiddenSize)),
    numHiddenLayers: size(json, 'num_hidden_layers', 32, mostLayers),
    useBias: flag(json, 'use_bias', false),
    useConvBias: flag(json, 'use_conv_bias', true),
    layerNormEpsilon: epsilon(json, 'layer_norm_epsilon', 1e-5),
    mixerRmsEps: modelType === 'falcon_mamba' ? epsilon(json, 'mixer_rms_eps', 1e-6) : undefined,
    residualInFp32: flag(json, 'residual_in_fp32', true),
    tieWordEmbeddings: flag(json, 'tie_word_embeddings', true),
    bosTokenId: tokenIds(json, 'bos_token_id', vocabSize, false)[0],
    padTokenId: tokenIds(json, 'pad_token_id', vocabSize, false)[0],
    eosTokenIds: Object.freeze(tokenIds(json, 'eos_token_id', vocabSize, true)),
    dtype: savedDType(json),
  });
}

function rankOf(hiddenSize: number): number {
  return Math.ceil(hiddenSize / 16);
}

/** transformers, too, lets intermediate_size win: falcon-mamba-7b has 8192 with a hidden size of 4096, but expand 16. */
function intermediateSize(json: JsonObject, hiddenSize: number): number {
  if (json.intermediate_size !== undefined) return size(json, 'intermediate_size', 0);
  const expand = json.expand ?? 2;
  const product = typeof expand === 'number' ? Math.floor(expand * hiddenSize) : 0;
  if (product >= 1 && product <= mostSize) return product;
  throw fieldError('expand', `a factor that gives 1 to ${mostSize} channels`, expand);
}

function refuseQuantized(json: JsonObject): void {
  const { quantization_config: quantization } = json;
  if (quantization === undefined || quantization === null) return;
  const message = 'Expected config.json to describe weights that are not quantized but received a quantization_config.';
  throw new SelectiveScanError('ERR_UNSUPPORTED', message);
}

function savedDType(json: JsonObject): FloatDType | undefined {
  // The name since transformers 4.56, then the one before.
  const field = json.dtype === undefined ? 'torch_dtype' : 'dtype';
  const dtype = json[field];
  if (dtype === undefined || dtype === null) return undefined;
  if (isFloatDType(dtype)) return dtype;
  throw fieldError(field, "'float32', 'float16' or 'bfloat16'", dtype);
}

function oneOf<T extends string>(json: JsonObject, field: string, allowed: readonly T[], absent?: T): T {
  const value = json[field] === undefined ? absent : json[field];
  if ((allowed as readonly unknown[]).includes(value)) return value as T;
  const names = allowed.map((name) => `'${name}'`).join(' or ');
  throw new SelectiveScanError(
    typeof value === 'string' ? 'ERR_UNSUPPORTED' : 'ERR_CHECKPOINT',
    `Expected ${field} of config.json to be ${names} but received ${kindOf(value)}.`,
  );
}

function size(json: JsonObject, field: string, absent: number, most = mostSize): number {
  const value = json[field] === undefined ? absent : json[field];
  if (isWhole(value) && value >= 1 && value <= most) return value;
  throw fieldError(field, `a whole number from 1 to ${most}`, value);
}

function flag(json: JsonObject, field: string, absent: boolean): boolean {
  const value = json[field] === undefined ? absent : json[field];
  if (typeof value === 'boolean') return value;
  throw fieldError(field, 'true or false', value);
}

function epsilon(json: JsonObject, field: string, absent: number): number {
  const value = json[field] === undefined ? absent : json[field];
  if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value;
  throw fieldError(field, 'a number of at least 0', value);
}

/** One id, 0 where the field is left out and none where it is null; of ends of text there may be several. */
function tokenIds(json: JsonObject, field: string, vocabSize: number, mayBeMany: boolean): number[] {
  const value = json[field] === undefined ? 0 : json[field];
  if (value === null) return [];
  const ids: unknown[] = mayBeMany && Array.isArray(value) ? value : [value];
  if (ids.every((id) => isWhole(id) && id >= 0 && id < vocabSize)) return [...(ids as number[])];
  const what = mayBeMany ? 'token ids' : 'a token id';
  throw fieldError(field, `null or ${what} below the vocab_size of ${vocabSize}`, value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function fieldError(field: string, expected: string, value: unknown): SelectiveScanError {
  return checkpointError(`${field} of config.json to be ${expected}`, kindOf(value));
}
