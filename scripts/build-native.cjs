#!/usr/bin/env node
// Builds build/Release/selective_scan.node from source with CMake. The environment sets CMake's options:
//   SELECTIVE_SCAN_CUDA                 0 leaves the CUDA backend out, 1 demands it; else it is built where nvcc is found
//   SELECTIVE_SCAN_CUDA_ARCHITECTURES   'present', 'all' or a list in CMake's form, such as '80-real;90'
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

// prebuildify calls this file in node-gyp's place, as `rebuild --target=...`: that is a release, for every architecture,
// and in a folder of its own so that a developer's incremental build outlives it.
function plan(args, env) {
  const release = args[0] === 'rebuild';
  return {
    folder: path.join(root, 'build', release ? 'cmake-release' : 'cmake'),
    options: {
      SELECTIVE_SCAN_CUDA: { 0: 'OFF', 1: 'ON' }[env.SELECTIVE_SCAN_CUDA] ?? 'AUTO',
      SELECTIVE_SCAN_CUDA_ARCHITECTURES: env.SELECTIVE_SCAN_CUDA_ARCHITECTURES || (release ? 'all' : 'present'),
    },
  };
}

function runs(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

function isInstalled(name) {
  try {
    require.resolve(`${name}/package.json`);
    return true;
  } catch {
    return false;
  }
}

// Said before CMake is started, whose own words for it are hard to find in its output.
function checkTools(env) {
  const missing = [];
  if (!runs('cmake')) missing.push('CMake 3.20 or newer');
  const compilers = env.CXX ? [env.CXX] : ['c++', 'g++', 'clang++'];
  if (process.platform !== 'win32' && !compilers.some(runs)) missing.push('a C++17 compiler');
  const packages = ['cmake-js', 'node-addon-api', 'node-api-headers'].filter((name) => !isInstalled(name));
  if (packages.length > 0)
    missing.push(`the optional dependencies ${packages.join(', ')} (npm install --include=optional)`);
  if (missing.length > 0) {
    throw new Error(
      `building from source needs ${missing.join(' and ')}. Then run npm install again, or \`npx selective-scan-build\` ` +
        'where the package is installed already.',
    );
  }
}

function cmakeJs(command, { folder, options }, stdio) {
  const settings = Object.entries(options).map(([name, value]) => `--CD${name}=${value}`);
  const args = [require.resolve('cmake-js/bin/cmake-js'), command, '--directory', root, '--out', folder, ...settings];
  const jobs = ['--parallel', String(os.availableParallelism()), '--log-level', 'warn'];
  return spawnSync(process.execPath, [...args, ...jobs], { cwd: root, stdio, encoding: 'utf8' });
}

function build(args, env) {
  checkTools(env);
  const planned = plan(args, env);

  // cmake-js configures only where there is no cache, and a cache may be of other options: so always do it first.
  const configured = cmakeJs('configure', planned, 'pipe');
  const output = configured.stdout + configured.stderr;
  if (configured.status !== 0) {
    throw new Error(`CMake failed:\n${output}\nWith SELECTIVE_SCAN_CUDA=0 the CUDA backend is left out.`);
  }
  console.log(output.match(/selective-scan: building .*/)[0]);
  if (cmakeJs('build', planned, 'inherit').status !== 0) throw new Error('the compiler failed; its errors are above.');

  // Renamed into place, because a running process may have the old file mapped.
  const target = path.join(root, 'build', 'Release', 'selective_scan.node');
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(path.join(planned.folder, 'Release', 'selective_scan.node'), `${target}.new`);
  fs.renameSync(`${target}.new`, target);
}

try {
  build(process.argv.slice(2), process.env);
} catch (error) {
  console.error(`selective-scan: ${error.message}`);
  process.exitCode = 1;
}
