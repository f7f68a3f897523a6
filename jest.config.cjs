// The compiled tests run as they are: the TypeScript compiler has already made what node reads.
module.exports = {
  roots: ['<rootDir>/build/test'],
  testEnvironment: 'node',
  testMatch: ['**/*.test.js'],
  transform: {},
  // A guard against a hang, not a measure of speed: a busy machine may take long over the largest cases.
  testTimeout: 60_000,
  reporters: ['default', '<rootDir>/scripts/jest-summary.cjs'],
};
