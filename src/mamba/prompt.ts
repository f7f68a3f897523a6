import { SelectiveScanError } from '../errors.js';
import type { ChatMessage } from './chat-template.js';
import type { MambaConfig } from './config.js';
import { checkTokenIds, isTokenIds, type TokenIds } from './token-ids.js';
import type { Tokenizer } from './tokenizer.js';

/** A text, its token ids, or a conversation, which the model's chat template makes a text of. */
export type Prompt = string | TokenIds | readonly ChatMessage[];

/** What prompts are for. */
interface Reader {
  readonly config: MambaConfig;
  readonly tokenizer: Tokenizer | undefined;
}

/**
 * The token ids of a prompt. Special tokens are added as `addSpecialTokens` says; where that is undefined, to text that
 * does not continue other text, and not to a conversation, whose template has written them.
 */
export function encodePrompt(
  name: string,
  prompt: Prompt,
  { config: { vocabSize }, tokenizer }: Reader,
  addSpecialTokens?: boolean,
  continues = false,
): Int32Array {
  const isConversation = Array.isArray(prompt) && !isTokenIds(prompt);
  if (typeof prompt !== 'string' && !isConversation) return checkTokenIds(name, prompt, vocabSize);
  const known = requireTokenizer(tokenizer);
  const text = typeof prompt === 'string' ? prompt : known.applyChatTemplate(prompt as readonly ChatMessage[]);
  const ids = known.encode(text, { addSpecialTokens: addSpecialTokens ?? (!isConversation && !continues) });
  return checkTokenIds(name, ids, vocabSize);
}

export function requireTokenizer(tokenizer: Tokenizer | undefined): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new SelectiveScanError(
    'ERR_UNSUPPORTED',
    'Expected a model with a tokenizer.json for text but this one has none: give token ids.',
  );
}
