import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import * as selectiveScanPackage from 'selective-scan';
import { endsWell, runChild, runNode } from './support/child';
import { packageRoot } from './support/files';
import './support/patience';

const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));

// The public names; a new one belongs in the documentation, and here.
const publicNames = [
  'SelectiveScanError',
  'Stream',
  'Tensor',
  'allocPinned',
  'causalConv1d',
  'causalConv1dSync',
  'causalConv1dUpdate',
  'causalConv1dUpdateSync',
  'device',
  'devices',
  'embedding',
  'embeddingSync',
  'linear',
  'linearSync',
  'logSoftmax',
  'logSoftmaxSync',
  'mambaLayerStep',
  'mambaLayerStepSync',
  'measureRoofs',
  'rmsNorm',
  'rmsNormSync',
  'sample',
  'sampleSync',
  'scanKernel',
  'selectiveScan',
  'selectiveScanSync',
  'selectiveStateUpdate',
  'selectiveStateUpdateSync',
  'softmax',
  'softmaxSync',
  'synchronize',
  'synchronizeSync',
];

test('exports what is documented and nothing else', () => {
  expect(Object.keys(selectiveScanPackage).sort()).toEqual(publicNames);
});

test('require and import share one instance', async () => {
  const child = await runChild('both-modules');
  expect(child).toMatchObject(endsWell);
  const { names, same, imported } = JSON.parse(child.stdout);
  expect(names).toEqual(publicNames);
  expect(same).toBe(true);
  expect(imported.filter((name: string) => publicNames.includes(name))).toEqual(publicNames);
});

test('an ES module can name its imports', async () => {
  const source = `import { ${publicNames.join(', ')} } from 'selective-scan'; console.log(typeof Tensor.from)`;
  const child = await runNode(['--input-type=module', '--eval', source]);
  expect(child).toMatchObject({ ...endsWell, stdout: 'function\n' });
});

test('every file that package.json names as an entry exists', () => {
  const { types, main, exports, bin } = manifest;
  const leaves = (node: unknown): string[] =>
    typeof node === 'string' ? [node] : Object.values(node as object).flatMap(leaves);
  const entries = [types, main, ...leaves(exports), ...leaves(bin)];
  expect(entries.length).toBeGreaterThan(6);
  for (const entry of entries) expect(readFileSync(join(packageRoot, entry)).length).toBeGreaterThan(0);
});

test('internals cannot be reached', async () => {
  const child = await runNode(['--eval', "require('selective-scan/dist/native.js')"]);
  expect(child.stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
});

test('loading does no work: no threads, no devices', async () => {
  const source = "require('selective-scan'); console.log(process.getActiveResourcesInfo().length)";
  const child = await runNode(['--eval', source]);
  expect(child).toMatchObject({ ...endsWell, stdout: '0\n' });
});

const mambaNames = ['Checkpoint', 'MambaForCausalLM', 'SafetensorsFile', 'Tokenizer', 'parseMambaConfig'];

test('the entry for models exports what is documented, the same to require and import', async () => {
  const source = `
    import * as imported from 'selective-scan/mamba';
    import { createRequire } from 'node:module';
    import { ${mambaNames.join(', ')} } from 'selective-scan/mamba';
    const required = createRequire(import.meta.url)('selective-scan/mamba');
    const names = Object.keys(required).sort();
    console.log(JSON.stringify({ names, same: names.every((name) => required[name] === imported[name]) }));`;
  const child = await runNode(['--input-type=module', '--eval', source]);
  expect(child).toMatchObject(endsWell);
  expect(JSON.parse(child.stdout)).toEqual({ names: mambaNames, same: true });
});

test('the main entry does not load the code for models', async () => {
  const source = `
    const model = /[\\\\/](dist[\\\\/](mamba|cli)|@huggingface)[\\\\/]/;
    const loaded = () => Object.keys(require.cache).filter((file) => model.test(file)).length;
    require('selective-scan');
    const before = loaded();
    require('selective-scan/mamba');
    console.log(before, loaded() > 5);`;
  const child = await runNode(['--eval', source]);
  expect(child).toMatchObject({ ...endsWell, stdout: '0 true\n' });
});

test('what a user of the package installs is little', () => {
  const { dependencies, optionalDependencies } = manifest;
  expect(Object.keys(dependencies)).toEqual(['@huggingface/jinja', '@huggingface/tokenizers', 'node-gyp-build']);
  // For a build from source only.
  expect(Object.keys(optionalDependencies)).toEqual(['cmake-js', 'node-addon-api', 'node-api-headers']);
});

test('the package does not carry the models of the repository', () => {
  const reaching = manifest.files.filter((pattern: string) => /^[./*]*(models|test)\b|^[./*]+$/.test(pattern));
  expect(reaching).toEqual([]);
});
