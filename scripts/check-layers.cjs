// Checks the layers of docs/architecture.md: who includes or imports whom, how files are named, how long they are.
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

// What a file may include with "..." or import by a relative path. The first row whose `of` matches decides; a file that
// no row matches may use anything. Paths are without extension.
const layers = [
  { of: /^native\/ops(\/|$)/, may: /^native\/ops\// },
  { of: /^native\/binding\//, may: /^native\/(binding|runtime)\/|^native\/ops(\/|$)/ },
  { of: /^native\/runtime\//, may: /^native\/runtime\/|^native\/ops(\/|$)/ },
  { of: /^native\/cpu\//, may: /^native\/cpu\/|^native\/ops(\/|$)/ },
  { of: /^cuda\//, may: /^cuda\/|^native\/ops(\/|$)/ },
  { of: /^src\/native$/, may: /^src\/(errors|dtype|host-array)$/ },
  { of: /^src\/ops\//, may: /^src\/(ops\/.*|(?!index$)[^/]+)$/ },
  { of: /^src\/mamba\//, may: /^src\/(mamba\/.*|ops\/.*|(?!(native|index)$)[^/]+)$/ },
  { of: /^src\/cli\//, may: /^src\/(cli\/.*|index|mamba\/index)$/ },
  { of: /^src\/server\//, may: /^src\/(server\/.*|mamba\/.*|(?!(native|index)$)[^/]+)$/ },
  { of: /^src\/index$/, may: /^src\/(?!native$)/ },
  { of: /^src\//, may: /^src\/(?!index$)[^/]+$/ },
  { of: /^test\/emulator\//, may: /^(test\/emulator|cuda)\// },
  { of: /^(test|bench|examples)\//, may: /^(test|bench|examples)\// },
];

// What only some files may include with <...> or import by name.
const reserved = [
  { name: /^(napi|node_api|node_api_types|js_native_api|node|uv|v8)\.h$/, to: /^native\/binding\//, why: 'N-API' },
  {
    name: /^(cuda|cu[a-z]*_|cublas|cub\/|nv|mma\.h|cooperative_groups|thrust\/)/,
    to: /^(cuda|test\/emulator)\//,
    why: 'CUDA',
  },
  { name: /^node-gyp-build$/, to: /^(src\/native|scripts\/install)$/, why: 'loading the binding' },
];

const folders = ['src', 'native', 'cuda', 'test', 'bench', 'examples', 'scripts', 'bin'];
const forbiddenName = /^(utils?|common|misc|helpers?)$/;
const longest = 500;

function sources() {
  return folders
    .filter((folder) => fs.existsSync(path.join(root, folder)))
    .flatMap((folder) =>
      fs
        .readdirSync(path.join(root, folder), { recursive: true })
        .map((file) => `${folder}/${file.replaceAll('\\', '/')}`),
    )
    .filter((file) => /\.([cm]?[jt]s|h|cc|cuh?)$/.test(file));
}

const withoutExtension = (file) => file.replace(/\.[^./]+$/, '');

function* references(text) {
  for (const [, quoted, angled] of text.matchAll(/^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)/gm)) {
    yield quoted ?? angled;
  }
  for (const [, name] of text.matchAll(/(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*['"]([^'"]+)['"]/g)) yield name;
}

// A reference to a file of ours, from the root; undefined for a library or a system header.
function ours(file, name) {
  if (name.startsWith('.')) return path.posix.join(path.posix.dirname(file), name);
  return [path.posix.join(path.posix.dirname(file), name), name].find((at) => fs.existsSync(path.join(root, at)));
}

function checkReferences(file, text) {
  const from = withoutExtension(file);
  const layer = layers.find(({ of }) => of.test(from));
  const faults = [];
  for (const name of references(text)) {
    const used = ours(file, name);
    if (used && layer && !layer.may.test(withoutExtension(used))) faults.push(`${file} may not use ${used}`);
    const rule = !used && reserved.find((row) => row.name.test(name) && !row.to.test(from));
    if (rule) faults.push(`${file} may not use ${name}: ${rule.why} belongs to ${rule.to.source}`);
  }
  return faults;
}

function checkFile(file) {
  const text = fs.readFileSync(path.join(root, file), 'utf8');
  const faults = checkReferences(file, text);
  const lines = text.split('\n').length - 1;
  if (lines > longest) faults.push(`${file} has ${lines} lines; split it (the limit is ${longest})`);
  if (!file.startsWith('test/') && file.split('/').some((part) => forbiddenName.test(withoutExtension(part)))) {
    faults.push(`${file}: the name says nothing; name it for its job`);
  }
  return faults;
}

// An op is one name in every layer. The ops are the functions of the backend table that take a Call.
function checkOps(files) {
  const border = fs.readFileSync(path.join(root, 'native/ops.h'), 'utf8');
  return [...border.matchAll(/\(\*(\w+)\)\(const Call&/g)].flatMap(([, op]) => {
    const expected = [
      `src/ops/${op.replaceAll('_', '-')}.ts`,
      `native/binding/${op}.cc`,
      `native/cpu/${op}.cc`,
      `cuda/${op}.cu`,
    ];
    return expected.filter((file) => !files.includes(file)).map((file) => `${file} is missing: ${op} is an op`);
  });
}

const files = sources();
const faults = [...files.flatMap(checkFile), ...checkOps(files)];
for (const fault of faults) console.error(fault);
console.log(`layers: ${files.length} files, ${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;
