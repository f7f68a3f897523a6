import { join } from 'node:path';
import { Tokenizer as TokenizerFile } from '@huggingface/tokenizers';
import { describe } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { type ChatMessage, ChatTemplate } from './chat-template.js';
import { checkpointError, shorten } from './checkpoint-error.js';
import type { MambaConfig } from './config.js';
import { isJsonObject, type JsonObject, kindOf } from './json.js';
import { isPresent, readJsonFile, readTextFile } from './model-file.js';

/** Text to token ids and back, as tokenizer.json and tokenizer_config.json of a model's folder say. */
export class Tokenizer {
  readonly #file: TokenizerFile;
  readonly #start: readonly number[];
  readonly #chat: ChatTemplate | undefined;

  private constructor(file: TokenizerFile, start: readonly number[], chat: ChatTemplate | undefined) {
    this.#file = file;
    this.#start = start;
    this.#chat = chat;
  }

  /** Reads a folder's tokenizer; undefined where there is no tokenizer.json. */
  static async open(folder: string, config: MambaConfig): Promise<Tokenizer | undefined> {
    const path = join(folder, 'tokenizer.json');
    if (!(await isPresent(path))) return undefined;
    const json = await readJsonFile(path);
    const settings = await readJsonIfPresent(join(folder, 'tokenizer_config.json'));
    let file: TokenizerFile;
    try {
      file = new TokenizerFile(json, settings);
    } catch (cause) {
      throw checkpointError(`'${path}' to describe a tokenizer`, shorten((cause as Error).message), cause);
    }
    return new Tokenizer(file, startOf(json, settings, config), await openChatTemplate(folder, settings));
  }

  /**
   * Token ids of a text. `addSpecialTokens`, true by default, also gives what the model's texts begin and end with: what
   * tokenizer.json says; or, where it says nothing, the beginning of a document that add_bos_token of tokenizer_config.json
   * or else bos_token_id of config.json asks for.
   */
  encode(text: string, { addSpecialTokens = true }: { addSpecialTokens?: boolean | undefined } = {}): Int32Array {
    if (typeof text !== 'string') {
      throw new SelectiveScanError('ERR_OPTION', `Expected text to be a string but received ${describe(text)}.`);
    }
    const { ids } = this.#file.encode(text, { add_special_tokens: addSpecialTokens });
    return Int32Array.from(addSpecialTokens ? [...this.#start, ...ids] : ids);
  }

  /** The text of token ids, without special tokens. */
  decode(ids: ArrayLike<number>): string {
    return this.#file.decode(Array.from(ids), { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  /** Whether the model says how a conversation is written. */
  get hasChatTemplate(): boolean {
    return this.#chat !== undefined;
  }

  /** A conversation as the text that the model was trained on; ERR_UNSUPPORTED where it has no chat template. */
  applyChatTemplate(
    messages: readonly ChatMessage[],
    { addGenerationPrompt = true }: { addGenerationPrompt?: boolean | undefined } = {},
  ): string {
    if (this.#chat) return this.#chat.render(messages, addGenerationPrompt);
    throw new SelectiveScanError('ERR_UNSUPPORTED', 'Expected a model with a chat template but this one has none.');
  }
}

/** A tokenizer.json with a post-processor says itself what texts begin with. */
function startOf(json: JsonObject, settings: JsonObject, { bosTokenId }: MambaConfig): readonly number[] {
  const isSaid = json.post_processor !== undefined && json.post_processor !== null;
  const adds = settings.add_bos_token ?? !isSaid;
  return adds === true && !isSaid && bosTokenId !== undefined ? [bosTokenId] : [];
}

async function readJsonIfPresent(path: string): Promise<JsonObject> {
  return (await isPresent(path)) ? readJsonFile(path) : {};
}

/** Of a file of its own, or of tokenizer_config.json: one, or several of which one is named 'default'. */
async function openChatTemplate(folder: string, settings: JsonObject): Promise<ChatTemplate | undefined> {
  const path = join(folder, 'chat_template.jinja');
  const text = (await isPresent(path)) ? await readTextFile(path) : defaultTemplate(settings.chat_template);
  if (text === undefined) return undefined;
  const tokens = ['bos_token', 'eos_token', 'pad_token', 'unk_token'];
  return new ChatTemplate(text, Object.fromEntries(tokens.map((name) => [name, contentOf(settings[name])])));
}

function defaultTemplate(given: unknown): string | undefined {
  if (given === undefined || given === null || typeof given === 'string') return given ?? undefined;
  const named = Array.isArray(given)
    ? given.find((entry) => isJsonObject(entry) && entry.name === 'default')
    : undefined;
  if (isJsonObject(named) && typeof named.template === 'string') return named.template;
  throw checkpointError('chat_template of tokenizer_config.json to be a text or to have a default', kindOf(given));
}

/** A special token is a text, or an object with its content. */
function contentOf(token: unknown): unknown {
  return isJsonObject(token) ? token.content : (token ?? undefined);
}
