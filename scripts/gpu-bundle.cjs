// Makes gpu-bundle/: all that a Linux x64 machine with a GPU, but without Node and without a network, needs to run the
// test suite, the benchmarks and the examples. Two archives, because node and node_modules rarely change:
//   runtime.tar.xz   node's binary and the part of node_modules that jest and the package use
//   project.tar.xz   the package: compiled sources, tests and benchmarks, golden files, examples, the binding
const { execFileSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const bundle = path.join(root, 'gpu-bundle');
const { dependencies } = require(path.join(root, 'package.json'));
const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8'));

// The folders of node_modules that these packages reach, by the lock file.
function installed(names) {
  const reached = new Set();
  const visit = (name, from) => {
    for (let base = from; ; base = base.slice(0, Math.max(base.lastIndexOf('/node_modules/'), 0))) {
      const at = path.posix.join(base, 'node_modules', name);
      if (lock.packages[at]) {
        if (reached.has(at) || !fs.existsSync(path.join(root, at))) return;
        reached.add(at);
        const needs = lock.packages[at];
        for (const next of Object.keys({ ...needs.dependencies, ...needs.optionalDependencies })) visit(next, at);
        return;
      }
      if (base === '') return;
    }
  };
  for (const name of names) visit(name, '');
  return [...reached];
}

// Copies what is there to run, and leaves out what is there to read.
function copy(from, to, keep) {
  fs.cpSync(path.join(root, from), path.join(to, from), {
    recursive: true,
    filter: (file) => keep(path.relative(path.join(root, from), file)),
  });
}

function strip(from, to) {
  fs.mkdirSync(path.dirname(to), { recursive: true });
  execFileSync('strip', ['--strip-all', '-o', to, from]);
}

function archive(name, fill) {
  const stage = path.join(bundle, `${name}.stage`);
  fs.rmSync(stage, { recursive: true, force: true });
  fs.mkdirSync(stage, { recursive: true });
  fill(stage);
  const file = path.join(bundle, `${name}.tar.xz`);
  execFileSync('tar', ['-cJf', file, '-C', stage, ...fs.readdirSync(stage)], {
    env: { ...process.env, XZ_OPT: '-6 -T2' },
  });
  fs.rmSync(stage, { recursive: true });
}

function fillRuntime(stage) {
  strip(process.execPath, path.join(stage, 'bin', 'node'));
  const unread = /\.(map|md|markdown|flow|[cm]?ts)$|(^|\/)(docs?|\.github)(\/|$)/;
  for (const folder of installed([...Object.keys(dependencies), 'jest', '@jest/globals', 'fast-check'])) {
    copy(folder, stage, (file) => !unread.test(file) && !/(^|\/)node_modules$/.test(file));
  }
}

function fillProject(stage) {
  const all = () => true;
  const present = (folder) => fs.existsSync(path.join(root, folder));
  copy('package.json', stage, all);
  copy('jest.config.cjs', stage, all);
  copy('bin', stage, all);
  for (const script of ['jest-summary', 'soak', 'soak-calls']) copy(`scripts/${script}.cjs`, stage, all);
  copy('bench/peer.py', stage, all);
  for (const folder of ['dist', 'build/test', 'build/bench', 'examples', 'models'].filter(present))
    copy(folder, stage, all);
  copy('test', stage, (file) => !/\.m?ts$|tsconfig\.json$/.test(file));
  const addon = 'build/Release/selective_scan.node';
  strip(path.join(root, addon), path.join(stage, addon));
}

const key = crypto
  .createHash('sha256')
  .update(process.version)
  .update(JSON.stringify(lock))
  .update(fs.readFileSync(__filename))
  .digest('hex');
const keyFile = path.join(bundle, 'runtime.key');
fs.mkdirSync(bundle, { recursive: true });
if (!fs.existsSync(keyFile) || fs.readFileSync(keyFile, 'utf8') !== key) {
  archive('runtime', fillRuntime);
  fs.writeFileSync(keyFile, key);
}
archive('project', fillProject);
fs.copyFileSync(path.join(__dirname, 'gpu-run.sh'), path.join(bundle, 'run.sh'));
fs.chmodSync(path.join(bundle, 'run.sh'), 0o755);

for (const file of fs.readdirSync(bundle)) {
  console.log(`gpu-bundle/${file}  ${(fs.statSync(path.join(bundle, file)).size / 1e6).toFixed(1)} MB`);
}
