// The test suite on a machine that must have a GPU: tests that need one fail there instead of being skipped. One file after
// the other, because some fill the GPU's memory, and files beside them would find none.
process.env.SELECTIVE_SCAN_REQUIRE_GPU = '1';
require('jest').run(['--ci', '--runInBand', ...process.argv.slice(2)]);
