import { dirname, join } from 'node:path';

/** Tests run compiled, from another folder than their sources and data. */
export const packageRoot = dirname(require.resolve('selective-scan/package.json'));

export const goldenFolder = join(packageRoot, 'test', 'golden');
export const realActivationsFile = join(packageRoot, 'examples', 'data', 'scan-real-activations.safetensors');
