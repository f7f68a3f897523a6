import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type MambaConfig, parseMambaConfig, Tokenizer } from 'selective-scan/mamba';
import { expectFailure, rejectionOf, thrownBy } from './support/failures';
import { newFolder } from './support/folders';
import { type GoldenPrompt, readGolden } from './support/golden-model';
import { editJson, goldenCheckpoint, trainedModel } from './support/model-files';

const { prompts } = readGolden();
let config: MambaConfig;
let tokenizer: Tokenizer;

beforeAll(async () => {
  config = parseMambaConfig(require(join(trainedModel('tiny-code-lm'), 'config.json')));
  tokenizer = (await Tokenizer.open(trainedModel('tiny-code-lm'), config)) as Tokenizer;
});

test.each(prompts.map((prompt): [string, GoldenPrompt] => [prompt.prompt, prompt]))(
  "transformers' ids and text: %j",
  (_name, golden) => {
    expect(Array.from(tokenizer.encode(golden.prompt))).toEqual(golden.input_ids);
    expect(tokenizer.decode(golden.input_ids)).toBe(golden.prompt);
    expect(tokenizer.decode(golden.greedy_ids)).toBe(golden.greedy_text);
  },
);

test('the start of a document can be left out', () => {
  expect(Array.from(tokenizer.encode('x', { addSpecialTokens: false }))).toEqual(
    Array.from(tokenizer.encode('x')).slice(1),
  );
  expect(tokenizer.encode('', { addSpecialTokens: false })).toHaveLength(0);
});

test('spaces are kept as the tokens have them', () => {
  const text = "a , b .  it 's  \n\n  é😀 .";
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
});

test('text has to be a string', () => {
  expectFailure(
    thrownBy(() => tokenizer.encode(7 as never)),
    { code: 'ERR_OPTION', about: 'text to be a string' },
  );
});

test('a folder without a tokenizer.json has none', async () => {
  expect(await Tokenizer.open(goldenCheckpoint('plain'), config)).toBeUndefined();
});

/** A copy of the tokenizer's files, altered. */
function altered(edit: { tokenizer?: (json: any) => void; settings?: (json: any) => void }): string {
  const folder = newFolder();
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    cpSync(join(trainedModel('tiny-code-lm'), file), join(folder, file));
  }
  if (edit.tokenizer) editJson(join(folder, 'tokenizer.json'), edit.tokenizer);
  if (edit.settings) editJson(join(folder, 'tokenizer_config.json'), edit.settings);
  return folder;
}

async function opened(edit: Parameters<typeof altered>[0]): Promise<Tokenizer> {
  return (await Tokenizer.open(altered(edit), config)) as Tokenizer;
}

describe('what a text begins with', () => {
  const template = {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: {},
  };

  test.each([
    ['add_bos_token', { settings: (json: any) => (json.add_bos_token = true) }, true],
    ['add_bos_token that is false', { settings: (json: any) => (json.add_bos_token = false) }, false],
    ['a post-processor that adds nothing', { tokenizer: (json: any) => (json.post_processor = template) }, false],
  ])('%s', async (_name, edit, hasStart) => {
    const [first] = (await opened(edit)).encode('def');
    expect(first === config.bosTokenId).toBe(hasStart);
  });
});

describe('chat templates', () => {
  const messages = [
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: 'Hi' },
    { role: 'user', content: 'Bye' },
  ];
  const template =
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}";
  const expected = '<|endoftext|>[user] Hello\n[assistant] Hi\n[user] Bye\n';

  test.each([
    ['a text', template],
    [
      'the default of several',
      [
        { name: 'tools', template: 'x' },
        { name: 'default', template },
      ],
    ],
  ])('%s of tokenizer_config.json', async (_name, given) => {
    const chat = await opened({ settings: (json) => (json.chat_template = given) });
    expect(chat.hasChatTemplate).toBe(true);
    expect(chat.applyChatTemplate(messages)).toBe(`${expected}[assistant] `);
    expect(chat.applyChatTemplate(messages, { addGenerationPrompt: false })).toBe(expected);
  });

  test('a file of its own', async () => {
    const folder = altered({});
    writeFileSync(join(folder, 'chat_template.jinja'), template);
    const chat = (await Tokenizer.open(folder, config)) as Tokenizer;
    expect(chat.applyChatTemplate(messages)).toBe(`${expected}[assistant] `);
  });

  test('a model without one says so', () => {
    expect(tokenizer.hasChatTemplate).toBe(false);
    expectFailure(
      thrownBy(() => tokenizer.applyChatTemplate(messages)),
      { code: 'ERR_UNSUPPORTED', about: 'chat template' },
    );
  });

  test('what a template refuses, and what is no conversation', async () => {
    const refusing = "{{ raise_exception('Roles must alternate') }}";
    const chat = await opened({ settings: (json) => (json.chat_template = refusing) });
    const refusals: [unknown, string][] = [
      [messages, 'Roles must alternate'],
      [[], 'messages'],
      ['hello', 'messages'],
      [[{ role: 'user' }], 'messages'],
    ];
    for (const [given, about] of refusals) {
      expectFailure(
        thrownBy(() => chat.applyChatTemplate(given as never)),
        { code: 'ERR_OPTION', about },
      );
    }
  });
});

test.each([
  ['a tokenizer of an unknown kind', { tokenizer: (json: any) => (json.model = { type: 'Nothing' }) }, 'tokenizer'],
  ['a template that is no Jinja', { settings: (json: any) => (json.chat_template = '{% for %}') }, 'chat template'],
  ['a template that is a number', { settings: (json: any) => (json.chat_template = 7) }, 'chat_template'],
])('refuses %s', async (_name, edit, about) => {
  expectFailure(await rejectionOf(opened(edit)), { code: 'ERR_CHECKPOINT', about });
});
