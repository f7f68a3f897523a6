// npm's install step: nothing to do where a prebuilt binary loads, else a build from source. It needs neither Python nor
// node-gyp nor any download.
const { existsSync } = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

// In a checkout an earlier build may be older than its sources; there the (incremental) build decides what is stale.
const isCheckout = existsSync(path.join(root, 'tsconfig.json'));
const isBuilt = existsSync(path.join(root, 'build', 'Release', 'selective_scan.node'));

function loads() {
  try {
    require('node-gyp-build')(root);
    return true;
  } catch {
    return false;
  }
}

if ((isCheckout && isBuilt) || !loads()) require('./build-native.cjs');
