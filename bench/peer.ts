// mamba_ssm's forward kernel on the same shapes, timed by bench/peer.py.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type ScanShape, workOf } from './scan-shapes';
import { setsBeyondCache } from './timing';

const program = join(__dirname, '..', '..', 'bench', 'peer.py');

/** Seconds of each shape; null where mamba_ssm has no such scan. Throws where there is no mamba_ssm to import. */
export function peerSeconds(shapes: readonly ScanShape[], device: string): (number | null)[] {
  const given = shapes.map((shape) => ({ ...shape, sets: setsBeyondCache(device, workOf(shape).bytes) }));
  const child = spawnSync('python3', [program], {
    input: JSON.stringify({ device, shapes: given }),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  if (child.error) throw new Error(`--peer times mamba_ssm with python3, which did not start: ${child.error.message}`);
  if (child.status !== 0) throw new Error('--peer: mamba_ssm could not be timed; python3 says why above.');
  return JSON.parse(child.stdout) as (number | null)[];
}
