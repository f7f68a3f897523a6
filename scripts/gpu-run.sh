#!/usr/bin/env bash
# Unpacks the bundle beside this file and runs it with the node that it carries:
#   run.sh [folder]                 the whole test suite, which fails without a GPU (folder: ./gpu-run)
#   run.sh <folder> <arguments>...  node with these arguments, such as examples/demo.mjs
set -euo pipefail

bundle="$(cd "$(dirname "$0")" && pwd)"
folder="${1:-gpu-run}"
[ $# -gt 0 ] && shift
mkdir -p "$folder"
cd "$folder"

# node and node_modules change rarely; everything else is replaced, so that no stale test is left to run.
if ! cmp -s "$bundle/runtime.key" runtime.key; then
  rm -rf bin node_modules
  tar -xJf "$bundle/runtime.tar.xz"
  cp "$bundle/runtime.key" runtime.key
fi
rm -rf bin/selective-scan-build.cjs build dist test examples scripts
tar -xJf "$bundle/project.tar.xz"

export PATH="$PWD/bin:$PATH" SELECTIVE_SCAN_REQUIRE_GPU=1
if [ $# -gt 0 ]; then
  exec node "$@"
fi
exec node node_modules/jest/bin/jest.js --ci -i
