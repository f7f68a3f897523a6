import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { packageRoot } from './support/files';

// The compiler and the kernels it makes are slow where other tests run beside.
const limit = 300_000;

const sources = join(packageRoot, 'test', 'emulator');
const folder = join(packageRoot, 'build', 'emulator');

/** Why the emulator cannot be built here; undefined if it can. */
function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux') return 'only written for Linux';
  if (!existsSync(join(packageRoot, 'cuda'))) return 'the kernels are not here';
  const configured = spawnSync('cmake', ['-S', sources, '-B', folder], { encoding: 'utf8' });
  if (configured.error) return 'no CMake here';
  if (configured.stderr.includes('there are no CUDA headers here')) return 'no CUDA headers here';
  if (configured.stderr.includes('No CMAKE_CXX_COMPILER')) return 'no C++ compiler here';
  return undefined;
}

/** Runs to its end, and fails with what it printed. */
function run(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: packageRoot, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`${command}: ${code}\n${output}`))));
  });
}

const missing = whatIsMissing();
const describeWhereBuilt = missing === undefined ? describe : describe.skip;

// A failure prints the command that has it again.
describeWhereBuilt(
  missing === undefined ? 'kernels without a GPU' : `kernels without a GPU (skipped: ${missing})`,
  () => {
    beforeAll(() => run('cmake', ['--build', folder, '--parallel', '2']), limit);

    test.each([
      { kernel: 'causal_conv1d', cases: 1000 },
      { kernel: 'lane_scan', cases: 6 },
      { kernel: 'mamba_layer_step', cases: 30 },
      { kernel: 'row_kernels', cases: 6 },
      { kernel: 'specialized_scan', cases: 12 },
      { kernel: 'selective_scan', cases: 12 },
    ])(
      '$kernel: $cases problems for each variant',
      async ({ kernel, cases }) => {
        const output = await run(join(folder, kernel), ['2312', String(cases)]);
        expect(output).toContain(`${cases} cases each, seed 2312: all right`);
      },
      limit,
    );

    test('how a linear layer is computed, by its shape', async () => {
      expect(await run(join(folder, 'linear_plan'), [])).toContain('all right');
    });
  },
);
