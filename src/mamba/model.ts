import { checkSize } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { readSignal, throwIfAborted, type WaitOptions } from '../signal.js';
import { Tensor } from '../tensor.js';
import type { Backbone } from './backbone.js';
import { Checkpoint } from './checkpoint.js';
import { pack } from './chunks.js';
import { type MambaConfig, parseMambaConfig } from './config.js';
import type { FloatDType } from './float-conversion.js';
import { type ForwardOptions, readForwardOptions } from './forward-options.js';
import { type BatchToken, type GeneratedToken, generateTokens } from './generate.js';
import { type GenerateOptions, type Generation, readGenerateOptions } from './generate-options.js';
import { buildBackbone, loadBackbone } from './load-backbone.js';
import { checkFloatDType, type LoadOptions, readLoadOptions } from './load-options.js';
import { encodePrompt, type Prompt, requireTokenizer } from './prompt.js';
import { randomWeights } from './random-weights.js';
import { readPrompts } from './reading.js';
import { fingerprint, packState, type SavedLayer, unpackState } from './saved-state.js';
import { perplexityOf, type Score, scoreTokens } from './score.js';
import { type LayerState, layerDims, type MambaState, makeZeroState, type StateOwner } from './state.js';
import { checkBatch, checkTokenIds, type TokenIds } from './token-ids.js';
import { Tokenizer } from './tokenizer.js';

/** What a pass over tokens gives. */
export interface ForwardResult {
  /** float32, [batch, vocab] after each sequence's last token; or after all tokens, sequence after sequence, [tokens, vocab]. */
  logits: Tensor;
  /** The state after the tokens: the one that was given, or a new one. */
  state: MambaState;
  /** With `hiddenStates`: the output of each layer, [1, tokens, hidden] in float32, and last that of the final norm. */
  hiddenStates?: Tensor[];
}

/**
 * A Mamba or Falcon-Mamba language model on one device. Tokens go in as a whole prompt, through the scan, or one at a
 * time; what it remembers of them is a MambaState. Calls may be made at the same time, each with a state of its own.
 */
export class MambaForCausalLM implements StateOwner {
  readonly config: MambaConfig;
  /** Undefined where the model's folder has no tokenizer.json: then prompts are token ids. */
  readonly tokenizer: Tokenizer | undefined;
  readonly #backbone: Backbone;
  #fingerprint: Promise<string> | undefined;
  #isDisposed = false;

  private constructor(backbone: Backbone, tokenizer: Tokenizer | undefined) {
    this.config = backbone.config;
    this.tokenizer = tokenizer;
    this.#backbone = backbone;
  }

  /**
   * Loads a folder in the layout of Hugging Face: config.json, model.safetensors (or shards with their index), and
   * tokenizer.json, tokenizer_config.json and chat_template.jinja where they are.
   *
   * `dtype` is that of the matrices, by default as they are stored. On a GPU it is also that of what flows between ops; a
   * CPU computes in float32. Rejects with ERR_CHECKPOINT, ERR_UNSUPPORTED, ERR_DEVICE, ERR_DTYPE, ERR_OPTION,
   * ERR_OUT_OF_MEMORY or ERR_ABORTED.
   */
  static async load(folder: string, options: LoadOptions = {}): Promise<MambaForCausalLM> {
    const read = readLoadOptions(options);
    checkFloatDType(read.dtype);
    await using checkpoint = await Checkpoint.open(folder);
    throwIfAborted(read.signal);
    const tokenizer = await Tokenizer.open(folder, checkpoint.config);
    return new MambaForCausalLM(await loadBackbone(checkpoint, read), tokenizer);
  }

  /**
   * A model with random weights and no tokenizer, for measuring: `json` is what config.json would hold. `dtype` is float32 by
   * default, and onProgress is not called.
   */
  static async fromConfig(json: unknown, options: LoadOptions = {}): Promise<MambaForCausalLM> {
    const read = readLoadOptions(options);
    checkFloatDType(read.dtype);
    const source = randomWeights(parseMambaConfig(json));
    return new MambaForCausalLM(await buildBackbone(source, 0, 'float32', read), undefined);
  }

  /** Where the model is: 'cpu', 'cuda:0', ... */
  get device(): string {
    return this.#backbone.executor.device.name;
  }

  /** Of the matrices. */
  get dtype(): FloatDType {
    return this.#backbone.weights.embeddings.dtype as FloatDType;
  }

  /** Weights, in elements. */
  get parameters(): number {
    return this.#backbone.weightElements;
  }

  /** The state before any token, of so many sequences. */
  newState(batch = 1): MambaState {
    this.#checkLive();
    const sequences = checkSize('batch', batch, 1);
    return makeZeroState(this.config, sequences, this.device, this.#backbone.dtype, this);
  }

  /** A state from the bytes of its save(). Rejects with ERR_CHECKPOINT where they are others, or of another model. */
  async restoreState(bytes: Uint8Array): Promise<MambaState> {
    this.#checkLive();
    if (!(bytes instanceof Uint8Array)) {
      throw new SelectiveScanError('ERR_OPTION', 'Expected the bytes of a state to be a Uint8Array.');
    }
    const [batch, saved] = unpackState(bytes, await this.#savedSizes());
    const state = this.newState(batch);
    try {
      for (const [i, { conv, scan }] of saved.entries()) {
        const layer = state.layers[i] as LayerState;
        await layer.conv.copyFrom(conv);
        await layer.scan.copyFrom(scan);
      }
      return state;
    } catch (error) {
      state.dispose();
      throw error;
    }
  }

  /** @internal See MambaState.save(). */
  async saveState({ batch, layers }: MambaState): Promise<Uint8Array> {
    this.#checkLive();
    const saved: SavedLayer[] = [];
    for (const { conv, scan } of layers) {
      saved.push({ conv: (await conv.toArray()) as Float32Array, scan: (await scan.toArray()) as Float32Array });
    }
    return packState({ ...(await this.#savedSizes()), batch }, saved);
  }

  /**
   * Reads tokens of one sequence, or of several of any lengths, [[...], [...]], which are packed. With logits 'last' the
   * memory it takes does not depend on their number; with 'all', or with hiddenStates, it grows with it.
   */
  async forward(tokens: TokenIds | readonly TokenIds[], options: ForwardOptions = {}): Promise<ForwardResult> {
    this.#checkLive();
    const prompts = checkBatch('tokens', tokens, this.config.vocabSize);
    const { state: given, logits, hiddenStates: wantsHidden, signal } = readForwardOptions(options);
    return this.#withState(given, prompts.length, async (state) => {
      if (logits === 'last' && !wantsHidden) {
        return { logits: await readPrompts(this.#backbone, prompts, state, signal), state };
      }
      const hiddenStates: Tensor[] = [];
      const onHidden = wantsHidden ? (hidden: Tensor) => hiddenStates.push(hidden) : undefined;
      const all = (await this.#backbone.read(pack(prompts), state, { logits, onHidden, signal })) as Tensor;
      return { logits: all, state, ...(wantsHidden && { hiddenStates }) };
    });
  }

  /** Reads one more token of each sequence of a state; returns logits, [batch, vocab] in float32. */
  async step(tokens: TokenIds, state: MambaState): Promise<Tensor> {
    this.#checkLive();
    const ids = checkTokenIds('tokens', tokens, this.config.vocabSize);
    return this.#withState(state, ids.length, async () => {
      using host = Tensor.from(ids, [ids.length]);
      return await this.#backbone.executor.run(() => this.#backbone.stepSync(host, state));
    });
  }

  /** The same, blocking on the CPU; on a GPU the work is only enqueued. */
  stepSync(tokens: TokenIds, state: MambaState): Tensor {
    this.#checkLive();
    const ids = checkTokenIds('tokens', tokens, this.config.vocabSize);
    this.#checkState(state, ids.length);
    state.take()();
    using host = Tensor.from(ids, [ids.length]);
    return this.#backbone.stepSync(host, state);
  }

  /**
   * Continues a prompt with text, in pieces that never split a character, until a stop token, a stop string or maxTokens:
   * `for await (const piece of model.generate('def f(x):', { maxTokens: 100 })) process.stdout.write(piece)`.
   * Breaking off the loop ends it.
   */
  async *generate(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<string, void, undefined> {
    requireTokenizer(this.tokenizer);
    for await (const { text } of this.generateTokens(prompt, options)) if (text !== '') yield text;
  }

  /** The same token by token: ids, text if the model has a tokenizer, and log-probabilities if they are asked for. */
  async *generateTokens(
    prompt: Prompt,
    options: GenerateOptions = {},
  ): AsyncGenerator<GeneratedToken, void, undefined> {
    const generation = this.#readGeneration(options);
    for await (const { index, ...token } of this.#generate([prompt], generation)) yield token;
  }

  /** Continues several prompts at once, each as it would be alone: `index` says whose a token is. */
  async *generateBatch(
    prompts: readonly Prompt[],
    options: Omit<GenerateOptions, 'state'> = {},
  ): AsyncGenerator<BatchToken, void, undefined> {
    const generation = this.#readGeneration(options);
    if (!Array.isArray(prompts) || prompts.length === 0) {
      throw new SelectiveScanError('ERR_OPTION', 'Expected prompts to be an array of at least one prompt.');
    }
    // The state of a sequence that ends before others would go on.
    if (generation.state) throw new SelectiveScanError('ERR_OPTION', 'Expected no state with a batch of prompts.');
    yield* this.#generate(prompts, generation);
  }

  /** The log-likelihood of each token of a text but the first, which with a tokenizer is a document's beginning. */
  async score(text: string | TokenIds, options?: WaitOptions): Promise<Score> {
    this.#checkLive();
    const signal = readSignal(options);
    const tokens = encodePrompt('text', text, this);
    using state = this.newState();
    return await state.use(() => scoreTokens(this.#backbone, tokens, state, signal));
  }

  /** exp of the mean negative log-likelihood of a text's tokens: 1 for a text that the model is certain of. */
  async perplexity(text: string | TokenIds, options?: WaitOptions): Promise<number> {
    return perplexityOf(await this.score(text, options));
  }

  get disposed(): boolean {
    return this.#isDisposed;
  }

  /** Frees the weights. Later calls throw ERR_DISPOSED; disposing again does nothing. */
  dispose(): void {
    this.#isDisposed = true;
    this.#backbone.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async *#generate(prompts: readonly Prompt[], generation: Generation): AsyncGenerator<BatchToken, void, undefined> {
    const { state: given, addSpecialTokens } = generation;
    const ids = prompts.map((prompt, i) => {
      const name = prompts.length === 1 ? 'prompt' : `prompts[${i}]`;
      return encodePrompt(name, prompt, this, addSpecialTokens, given !== undefined);
    });
    if (given) this.#checkState(given, ids.length);
    const state = given ?? this.newState(ids.length);
    const release = state.take();
    try {
      yield* generateTokens(this.#backbone, state, ids, generation, this.tokenizer);
    } finally {
      release();
      if (!given) state.dispose();
    }
  }

  #readGeneration(options: GenerateOptions): Generation {
    this.#checkLive();
    const generation = readGenerateOptions(options, this.config);
    if (generation.stop.length > 0) requireTokenizer(this.tokenizer);
    return generation;
  }

  async #withState<T>(
    given: MambaState | undefined,
    batch: number,
    act: (state: MambaState) => Promise<T>,
  ): Promise<T> {
    if (given) this.#checkState(given, batch);
    const state = given ?? this.newState(batch);
    try {
      return await state.use(() => act(state));
    } catch (error) {
      if (!given) state.dispose();
      throw error;
    }
  }

  #checkState(state: MambaState, batch: number): void {
    if (state.owner !== this) {
      throw new SelectiveScanError('ERR_OPTION', 'Expected state to be of this model but received one of another.');
    }
    if (state.batch === batch) return;
    throw new SelectiveScanError(
      'ERR_SHAPE',
      `Expected state to be of a batch of ${batch} but received one of ${state.batch}.`,
    );
  }

  #savedSizes() {
    this.#fingerprint ??= fingerprint(this.#backbone.weights);
    const { conv, scan } = layerDims(this.config, 1);
    const { numHiddenLayers: layers } = this.config;
    return this.#fingerprint.then((model) => ({ model, layers, conv: conv.slice(1), scan: scan.slice(1) }));
  }

  #checkLive(): void {
    if (!this.#isDisposed) return;
    throw new SelectiveScanError('ERR_DISPOSED', 'Expected model to be live but it has been disposed.');
  }
}
