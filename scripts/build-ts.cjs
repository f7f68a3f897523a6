// Compiles src to dist, and test and bench to build/. Output whose source is gone is removed first: left there, jest
// would go on running it and npm would publish it.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const folders = { src: 'dist', test: 'build/test', bench: 'build/bench' };

for (const [source, output] of Object.entries(folders)) {
  const files = fs.existsSync(path.join(root, output))
    ? fs.readdirSync(path.join(root, output), { recursive: true })
    : [];
  for (const file of files) {
    const stem = file.match(/^(.*?)(\.d)?\.(m?)[jt]s(\.map)?$/);
    if (stem && !fs.existsSync(path.join(root, source, `${stem[1]}.${stem[3]}ts`))) {
      fs.rmSync(path.join(root, output, file));
    }
  }
}

const tsc = require.resolve('typescript/package.json').replace('package.json', 'bin/tsc');
process.exitCode = spawnSync(process.execPath, [tsc, '--build'], { cwd: root, stdio: 'inherit' }).status ?? 1;
