#!/usr/bin/env node
// Builds the CPU's code with sanitizers (CMakePresets.json) and runs the tests against it, in a folder of its own:
// `node scripts/sanitize.cjs asan|tsan [jest's arguments]`, on Linux with GCC. It fails where a test does or a report is
// about our code.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { threadReportsOf } = require('./sanitize-reports.cjs');

const root = path.resolve(__dirname, '..');
const compiler = process.env.CXX || 'g++';

// As malloc does, so that the tests of allocations that fail see them fail.
const allocator_may_return_null = 1;

const sanitizers = {
  asan: {
    preset: 'asan-ubsan',
    // libstdc++ as well: AddressSanitizer looks for __cxa_throw when the process starts, and node brings none.
    runtimes: ['libasan.so', 'libstdc++.so.6'],
    options: {
      // The leak checker cannot see what V8's heap points to and calls it lost. Leaks are looked for by the tests of
      // memory held and by soak.cjs.
      detect_leaks: 0,
      // Freed memory is kept from use to catch late accesses: less of it than the tests of memory held allow.
      quarantine_size_mb: 64,
      print_stacktrace: 1,
      allocator_may_return_null,
    },
    // The log also tells of allocations that failed.
    reportsOf: (log) => (/ERROR: AddressSanitizer|runtime error:/.test(log) ? [log] : []),
  },
  tsan: {
    preset: 'tsan',
    runtimes: ['libtsan.so'],
    // Reports about node's own threads must not fail a test: the exit code is left alone, and the logs are read instead.
    options: { exitcode: 0, allocator_may_return_null },
    reportsOf: threadReportsOf,
  },
};

function runs(command, args, env = process.env) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', env }).status === 0;
}

// The sanitizers keep addresses for themselves that a kernel which spreads its mappings far (vm.mmap_rnd_bits above 28)
// may have given away; where the system allows, nothing is spread.
function fixedAddresses() {
  return spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];
}

function runtimePath(name) {
  const file = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout?.trim();
  if (!file || !path.isAbsolute(file)) throw new Error(`${compiler} has no ${name}; GCC's sanitizers are needed.`);
  return file;
}

function main(name, jestArguments) {
  const sanitizer = sanitizers[name];
  if (!sanitizer) throw new Error(`expected one of ${Object.keys(sanitizers).join(', ')} but received ${name}.`);
  const { preset, runtimes, options, reportsOf } = sanitizer;
  const libraries = runtimes.map(runtimePath);

  const env = { ...process.env, CXX: compiler };
  const jobs = String(os.availableParallelism());
  if (!runs('cmake', ['--preset', preset], env) || !runs('cmake', ['--build', '--preset', preset, '-j', jobs], env)) {
    throw new Error('the build failed.');
  }

  const folder = path.join(root, 'build', preset);
  const reports = path.join(folder, 'reports');
  fs.rmSync(reports, { recursive: true, force: true });
  fs.mkdirSync(reports);
  // jest's reporter writes it at the end: without one the tests' process has died, whatever its exit code says.
  const summary = path.join(root, 'build', 'test-summary.txt');
  fs.rmSync(summary, { force: true });
  const settings = Object.entries({ ...options, log_path: path.join(reports, 'process') })
    .map(([option, value]) => `${option}=${value}`)
    .join(':');
  // The emulator's programs are built by a test and load no binding: the compiler would run under the sanitizer too.
  const tests = [...jestArguments, '--testPathIgnorePatterns=/emulator\\.test'];
  const jest = [process.execPath, require.resolve('jest/bin/jest'), '--ci', '-i', ...tests];
  const [command, ...args] = [...fixedAddresses(), ...jest];
  const passed = runs(command, args, {
    ...process.env,
    LD_PRELOAD: libraries.join(' '),
    ASAN_OPTIONS: settings,
    UBSAN_OPTIONS: settings,
    TSAN_OPTIONS: settings,
    SELECTIVE_SCAN_PREBUILD: folder, // where node-gyp-build looks for the binding
  });

  const found = fs.readdirSync(reports).flatMap((file) => reportsOf(fs.readFileSync(path.join(reports, file), 'utf8')));
  for (const report of found) console.error(report);
  console.log(`${name}: ${found.length} reports logged about selective_scan.node`);
  if (!passed || !fs.existsSync(summary) || found.length > 0) process.exitCode = 1;
}

try {
  main(process.argv[2], process.argv.slice(3));
} catch (error) {
  console.error(`sanitize: ${error.message}`);
  process.exitCode = 1;
}
