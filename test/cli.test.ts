import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type ChildOptions, type ChildResult, endsWell, runNode } from './support/child';
import { packageRoot } from './support/files';
import { newFolder } from './support/folders';
import { readGolden } from './support/golden-model';
import { trainedModel } from './support/model-files';
import './support/patience';

const folder = trainedModel('tiny-code-lm');
const [golden] = readGolden().prompts;
const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));

const command = (args: string[], options?: ChildOptions): Promise<ChildResult> =>
  runNode([join(packageRoot, 'bin', 'selective-scan.cjs'), ...args], options);
const onCpu = (...args: string[]) => command([...args, '--device', 'cpu', '--dtype', 'float32']);

test('generate prints the prompt’s continuation', async () => {
  const child = await onCpu('generate', folder, '--prompt', golden.prompt, '--max-tokens', '64');
  expect(child).toMatchObject({ ...endsWell, stdout: `${golden.greedy_text}\n` });
});

test('generate --json', async () => {
  const child = await onCpu('generate', folder, '--prompt', golden.prompt, '--max-tokens', '10', '--json');
  expect(child).toMatchObject(endsWell);
  const result = JSON.parse(child.stdout);
  expect(result).toMatchObject({ tokens: golden.greedy_ids.slice(0, 10), finish: 'max-tokens', device: 'cpu' });
  expect(result.logprobs).toHaveLength(10);
  expect(golden.greedy_text.startsWith(result.text)).toBe(true);
});

test('generate draws by a seed, and ends at a stop string', async () => {
  const draw = (seed: string, ...more: string[]) =>
    onCpu('generate', folder, '--prompt', 'def ', '--temperature', '1', '--top-p', '.9', '--seed', seed, ...more);
  const [one, again, other] = await Promise.all([draw('1'), draw('1'), draw('2')]);
  expect(one).toMatchObject({ ...endsWell, stdout: again.stdout });
  expect(other.stdout).not.toBe(one.stdout);
  const stopped = await draw('1', '--stop', one.stdout.slice(10, 13), '--stop', 'never');
  expect(stopped.stdout).toBe(`${one.stdout.slice(0, one.stdout.indexOf(one.stdout.slice(10, 13)))}\n`);
});

test('score prints each token, and the whole', async () => {
  const text = 'import os\n';
  const child = await onCpu('score', folder, '--text', text, '--json');
  const { tokens, meanLogprob, perplexity } = JSON.parse(child.stdout);
  expect(tokens.map((token: { text: string }) => token.text).join('')).toBe(text);
  expect(Math.exp(-meanLogprob)).toBeCloseTo(perplexity, 6);
  const file = join(newFolder(), 'text.py');
  writeFileSync(file, text);
  const printed = await onCpu('score', folder, '--file', file);
  expect(printed.stdout).toMatch(/^ +-\d\.\d{3} {2}"import"\n[\s\S]*perplexity \d+\.\d{3}\n$/);
});

test('bench measures both ways of reading', async () => {
  const args = ['bench', folder, '--prompt-tokens', '64', '--tokens', '8'];
  const result = JSON.parse((await onCpu(...args, '--batch', '2', '--json')).stdout);
  expect(result).toMatchObject({ device: 'cpu', dtype: 'float32', batch: 2, promptTokens: 64, tokens: 8 });
  expect(result.prefillTokensPerSecond).toBeGreaterThan(0);
  expect(result.decodeTokensPerSecond).toBeGreaterThan(0);
  expect((await onCpu(...args)).stdout).toMatch(/^model .*\nprefill +\d+ tokens\/s .*\ndecode +\d+ tokens\/s .*\n$/);
});

test('info says where a model can run', async () => {
  const result = JSON.parse((await command(['info', '--json'])).stdout);
  expect(result).toMatchObject({ version, node: process.version });
  expect(result.devices[0]).toMatchObject({ device: 'cpu', vectorSet: expect.any(String) });
  const { stdout } = await command(['info']);
  expect(stdout).toMatch(new RegExp(`^selective-scan ${version.replaceAll('.', '\\.')}, Node .*\ncpu `));
});

test.each([[['help']], [[]], [['--help']]])('%j shows the commands', async (args) => {
  const child = await command(args);
  expect(child).toMatchObject(endsWell);
  for (const name of ['generate', 'score', 'bench', 'info']) expect(child.stdout).toContain(`selective-scan ${name}`);
});

test('--version', async () => {
  expect(await command(['--version'])).toMatchObject({ ...endsWell, stdout: `${version}\n` });
});

describe('says what is wrong, and nothing more', () => {
  const noModel = newFolder();
  test.each<[string, string[], number, string]>([
    ['no such command', ['paint'], 2, "no command 'paint'"],
    ['no folder', ['generate', '--prompt', 'x'], 2, 'folder'],
    ['two folders', ['score', folder, folder, '--text', 'x'], 2, 'one folder'],
    ['no prompt', ['generate', folder], 2, '--prompt'],
    ['an unknown option', ['generate', folder, '--promt', 'x'], 2, '--promt'],
    [
      'a number that is none',
      ['generate', folder, '--prompt', 'x', '--max-tokens', 'many'],
      2,
      "--max-tokens but received 'many'",
    ],
    ['a count of 0', ['bench', folder, '--tokens', '0'], 2, '--tokens'],
    ['a text and a file', ['score', folder, '--text', 'x', '--file', 'y'], 2, 'either'],
    ['a file that is not there', ['score', folder, '--file', 'nowhere'], 2, 'ENOENT'],
    ['a word too many', ['info', 'all'], 2, "'all'"],
    ['a folder without a model', ['generate', noModel, '--prompt', 'x'], 1, 'config.json'],
    ['a device that is not there', ['generate', folder, '--prompt', 'x', '--device', 'tpu'], 1, "'tpu'"],
    ['a dtype that there is not', ['generate', folder, '--prompt', 'x', '--dtype', 'int4'], 1, "'int4'"],
    ['an option out of range', ['generate', folder, '--prompt', 'x', '--temperature=-1'], 1, 'temperature'],
    [
      'a model without a tokenizer',
      ['generate', trainedModel('induction-heads'), '--prompt', 'x'],
      1,
      'tokenizer.json',
    ],
  ])('%s', async (_name, args, code, about) => {
    const child = await command(args);
    expect(child).toMatchObject({ code, stdout: '' });
    expect(child.stderr).toContain(about);
    expect(child.stderr).toMatch(/^selective-scan: /);
    expect(child.stderr.trimEnd().split('\n')).toHaveLength(code);
  });

  test('a cut file', async () => {
    const cut = newFolder();
    cpSync(folder, cut, { recursive: true });
    const weights = join(cut, 'model.safetensors');
    const bytes = readFileSync(weights);
    rmSync(weights);
    writeFileSync(weights, bytes.subarray(0, bytes.length - 1));
    const child = await command(['generate', cut, '--prompt', 'x', '--device', 'cpu']);
    expect(child).toMatchObject({ code: 1, stdout: '' });
    expect(child.stderr).toContain('model.safetensors');
  });
});
