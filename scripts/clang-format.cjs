// Formats the C++ and CUDA sources in place; with --check only says what is not formatted, and fails. The formatter is
// clang-format compiled to WebAssembly, so that one pinned version runs everywhere and nothing is downloaded.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const files = ['native', 'cuda', 'test'].flatMap((folder) =>
  fs
    .readdirSync(path.join(root, folder), { recursive: true })
    .filter((file) => /\.(h|cc|cu|cuh)$/.test(file))
    .map((file) => path.join(folder, file)),
);
const formatter = require.resolve('@wasm-fmt/clang-format/clang-format-cli.cjs');
const mode = process.argv.includes('--check') ? ['--dry-run', '-Werror'] : ['-i'];
const { status } = spawnSync(process.execPath, [formatter, ...mode, ...files], { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
