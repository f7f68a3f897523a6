import { Template } from '@huggingface/jinja';
import { describe } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { checkpointError } from './checkpoint-error.js';
import { isJsonObject, type JsonObject } from './json.js';

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** How a model wants a conversation written: a Jinja template, as transformers has it. */
export class ChatTemplate {
  readonly #template: Template;
  readonly #variables: JsonObject;

  /** `variables` are what the template may ask for besides the messages, such as bos_token. */
  constructor(text: string, variables: JsonObject) {
    try {
      this.#template = new Template(text);
    } catch (cause) {
      throw checkpointError('the chat template to be one of Jinja', (cause as Error).message, cause);
    }
    this.#variables = variables;
  }

  /** The conversation as text; with `addGenerationPrompt`, up to where the model's answer begins. */
  render(messages: readonly ChatMessage[], addGenerationPrompt: boolean): string {
    checkMessages(messages);
    try {
      return this.#template.render({ ...this.#variables, messages, add_generation_prompt: addGenerationPrompt });
    } catch (cause) {
      // A template refuses with an error what it has no form for, such as two turns of one role in a row.
      throw new SelectiveScanError(
        'ERR_OPTION',
        `Expected messages that the chat template takes but received others (${(cause as Error).message}).`,
        { cause },
      );
    }
  }
}

function checkMessages(messages: unknown): void {
  const isMessage = (value: unknown) =>
    isJsonObject(value) && typeof value.role === 'string' && typeof value.content === 'string';
  if (Array.isArray(messages) && messages.length > 0 && messages.every(isMessage)) return;
  const received = Array.isArray(messages) ? `${messages.length} of which one is something else` : describe(messages);
  throw new SelectiveScanError(
    'ERR_OPTION',
    `Expected messages with a role and a content each but received ${received}.`,
  );
}
