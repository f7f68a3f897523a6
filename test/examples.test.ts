import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { endsWell, runNode } from './support/child';
import { packageRoot } from './support/files';
import './support/patience';

/** What each prints, in part. */
const prints: Record<string, RegExp> = {
  'demo.mjs': /error .*class.*speed +\d+ tokens\/s.*recall +token (\d+) .* \1 is right/s,
  'generate.mjs': /def add\(a, b\):\n.*logprob.*for i in .*perplexity \d/s,
  'induction-heads.mjs': /token (\d+), .* 65536; \1 is right/,
  'states.mjs': /one way.*another.*restored.*the same/s,
};

const isLibrary = (file: string) => file === 'safetensors.mjs';

test('every example is run here', () => {
  const files = readdirSync(join(packageRoot, 'examples')).filter((file) => file.endsWith('.mjs') && !isLibrary(file));
  expect(files.sort()).toEqual(Object.keys(prints));
});

test.each(Object.entries(prints))('%s', async (file, pattern) => {
  const child = await runNode([join(packageRoot, 'examples', file)], { timeout: 60_000 });
  expect(child).toMatchObject(endsWell);
  expect(child.stdout).toMatch(pattern);
});
