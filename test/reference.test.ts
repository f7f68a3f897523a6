import { describe, expect, test } from '@jest/globals';
import { relativeError } from './support/closeness';
import { goldenCase, goldenNames } from './support/golden-cases';
import { plainFloat32Scan, referenceScan } from './support/reference';
import { toLayout } from './support/scan-case';

// The golden results are float64 ones stored as float32, which alone is an error of up to 6e-8.
const storage = 6e-8;

test('there are 30 golden cases', () => {
  expect(goldenNames).toHaveLength(30);
});

describe('the reference agrees with mamba_ssm', () => {
  test.each(goldenNames)('%s', (name) => {
    const { problem, want } = goldenCase(name);
    const got = referenceScan(problem);
    expect(relativeError(got.out, want.out)).toBeLessThan(storage);
    expect(relativeError(got.lastState, want.lastState)).toBeLessThan(storage);
  });
});

test.each(['groups2', 'complex', 'const_B'])('%s is the same problem in the other layout', (name) => {
  const { problem } = goldenCase(name);
  const turned = toLayout(problem, 'bld');
  expect(turned.u).not.toEqual(problem.u);
  expect(toLayout(turned, 'bdl')).toEqual(problem);
  expect(referenceScan(turned).lastState).toEqual(referenceScan(problem).lastState);
});

test('the plain float32 evaluation differs from float64 by float32 roundings', () => {
  const { problem } = goldenCase('len4096');
  const want = referenceScan(problem);
  const error = relativeError(plainFloat32Scan(problem).out, want.out);
  expect(error).toBeGreaterThan(1e-8);
  expect(error).toBeLessThan(1e-6);
});
