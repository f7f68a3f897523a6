import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from './files';

export interface ChildResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ChildOptions {
  env?: Record<string, string>;
  flags?: string[];
  timeout?: number; // milliseconds
}

/** Runs `node [flags] children/<script>.js [args]` of the compiled tests. A child that outlives its time is killed. */
export function runChild(script: string, args: string[] = [], options: ChildOptions = {}): Promise<ChildResult> {
  const file = join(__dirname, '..', 'children', `${script}.js`);
  return runNode([...(options.flags ?? []), file, ...args], options);
}

export function runNode(args: string[], { env = {}, timeout = 30_000 }: ChildOptions = {}): Promise<ChildResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: packageRoot,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** What a child that ends well and says nothing on stderr gives. */
export const endsWell = { code: 0, signal: null, stderr: '' };
