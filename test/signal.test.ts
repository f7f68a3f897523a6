import { describe, expect, test } from '@jest/globals';
import { device, measureRoofs, type SelectiveScanOptions, selectiveScan, synchronize, Tensor } from 'selective-scan';
import { tensorOptions, typedArrayOptions } from './support/call';
import { expectFailure, rejectionOf } from './support/failures';
import { randomCase } from './support/random-case';
import { slowProblem } from './support/slow-problem';
import './support/patience';

const tensor = Tensor.from(Float32Array.of(1, 2, 3), [3]);

const forms: [name: string, begin: (options: any) => Promise<unknown>][] = [
  ['selectiveScan, tensors', (options) => selectiveScan({ ...tensorOptions(randomCase(), 'cpu').options, ...options })],
  [
    'selectiveScan, typed arrays',
    (options) => selectiveScan({ ...typedArrayOptions(randomCase(), 'cpu'), ...options }),
  ],
  ['Tensor.to', (options) => tensor.to('cpu', options)],
  ['Tensor.toArray', (options) => tensor.toArray(options)],
  ['Tensor.copyFrom', (options) => tensor.copyFrom(Float32Array.of(1, 2, 3), options)],
  ['synchronize', (options) => synchronize('cpu', options)],
  ['DeviceHandle.synchronize', (options) => device('cpu').synchronize(options)],
];

describe.each([...forms, ['measureRoofs', (options: any) => measureRoofs('cpu', options)] as const])(
  '%s',
  (_name, begin) => {
    test('refuses what is no signal', async () => {
      expectFailure(await rejectionOf(begin({ signal: 5 })), { code: 'ERR_OPTION', about: 'signal' });
    });

    test('with a signal that is aborted already rejects at once, for its reason', async () => {
      const failure = await rejectionOf(begin({ signal: AbortSignal.abort('why') }));
      expectFailure(failure, { code: 'ERR_ABORTED', about: 'aborted' });
      expect((failure as Error).cause).toBe('why');
    });
  },
);

describe('while work before it takes long', () => {
  const slow = slowProblem(1000) as SelectiveScanOptions<Tensor>;

  test.each(forms.slice(2))('%s gives up at once', async (_name, begin) => {
    const before = new AbortController();
    const work = rejectionOf(selectiveScan({ ...slow, signal: before.signal }));
    const controller = new AbortController();
    const start = performance.now();
    const waiting = rejectionOf(begin({ signal: controller.signal }));
    setTimeout(() => controller.abort(), 10);
    expectFailure(await waiting, { code: 'ERR_ABORTED', about: 'aborted' });
    expect(performance.now() - start).toBeLessThan(500);
    before.abort();
    expectFailure(await work, { code: 'ERR_ABORTED', about: 'aborted' });
  });
});

test.each(forms)('%s goes well with a signal that nobody aborts', async (_name, begin) => {
  await begin({ signal: new AbortController().signal });
});

test.each(forms.slice(2))('%s refuses unknown options', async (_name, begin) => {
  expectFailure(await rejectionOf(begin({ sginal: 1 })), { code: 'ERR_OPTION', about: 'sginal' });
});
