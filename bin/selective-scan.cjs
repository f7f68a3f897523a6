#!/usr/bin/env node
// The command line: `npx selective-scan help` says what it does.
const { main } = require('../dist/cli/main.js');

main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
