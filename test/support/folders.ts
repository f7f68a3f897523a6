import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A new folder for a test's files, which is removed after the tests of the file that asked for it. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'selective-scan-test-'));
  folders.push(folder);
  return folder;
}
