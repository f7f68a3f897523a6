import { existsSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { endsWell, runChild } from './support/child';
import { describeOnEachDevice } from './support/devices';
import './support/patience';

const busyWays = ['host arrays', 'slices of host arrays', 'streams', 'graphs'];

describeOnEachDevice((device) => {
  test.each([
    ['sync', 'a blocking call'],
    ['awaited', 'a promise that was awaited'],
    ['many unawaited', 'many promises that nobody waits for'],
    ['result disposed in another turn', 'a result disposed later'],
    ['streams in flight', 'queues that wait for each other'],
    ['graphs in flight', 'graphs that were replayed, one of them disposed'],
  ])('the process ends by itself: %s', async (way, _reason) => {
    expect(await runChild('ending', [way, device])).toMatchObject({ ...endsWell, stdout: '' });
  });

  test('an exit within a capture keeps the exit code', async () => {
    const child = await runChild('ending', ['exit within a capture', device]);
    expect(child).toMatchObject({ code: 7, signal: null, stdout: '', stderr: '' });
  });

  test.each(busyWays)('an exit while %s are in flight keeps the exit code', async (busyWith) => {
    const child = await runChild('ending', ['exit while busy', device, busyWith]);
    expect(child).toMatchObject({ code: 7, signal: null, stdout: '', stderr: '' });
  });

  test.each(busyWays)('workers that are terminated at any moment, with %s in flight', async (busyWith) => {
    const child = await runChild('workers', ['terminate at any moment', busyWith, device]);
    expect(child).toMatchObject({ ...endsWell, stdout: 'alive\n' });
  });

  test('what a call in flight uses is not collected', async () => {
    const child = await runChild('collected', [device], { flags: ['--expose-gc'] });
    const ways = [
      'operands',
      'a stream and its events',
      'a graph and its operands',
      'host arrays',
      'host arrays in slices',
    ];
    expect(child).toMatchObject({ ...endsWell, stdout: ways.map((way) => `${way}: right\n`).join('') });
  });

  test('the package loaded twice computes twice, and knows no tensors of the other', async () => {
    const child = await runChild('loaded-twice', [device]);
    expect(child).toMatchObject({ ...endsWell, stdout: 'equal\nERR_DTYPE\n' });
  });

  test('a promise that nobody waits for settles before the end', async () => {
    expect(await runChild('ending', ['unawaited', device])).toMatchObject({ ...endsWell, stdout: 'settled\n' });
  });

  test('an exception ends the process as usual', async () => {
    const child = await runChild('ending', ['throw in flight', device]);
    expect(child).toMatchObject({ code: 1, signal: null, stderr: expect.stringContaining('thrown on purpose') });
  });
});

describe('ending in flight', () => {
  test.each(['exit in flight', 'exit at once', 'exit in a stream in flight'])('%s keeps the exit code', async (way) => {
    expect(await runChild('ending', [way])).toMatchObject({ code: 7, signal: null, stdout: '', stderr: '' });
  });

  test('a rejection without handler is an error of the process', async () => {
    const child = await runChild('ending', ['reject unhandled']);
    expect(child).toMatchObject({ code: 1, signal: null, stderr: expect.stringContaining('SelectiveScanError') });
  });

  test('operands disposed in flight live on until the call is done', async () => {
    expect(await runChild('ending', ['dispose in flight'])).toMatchObject({ ...endsWell, stdout: 'equal\n' });
  });

  test('an abort ends a long call soon, and the next call works', async () => {
    expect(await runChild('ending', ['abort'])).toMatchObject({ ...endsWell, stdout: 'ERR_ABORTED soon cpu\n' });
  });
});

describe('worker threads', () => {
  test.each([
    ['compute at once', '[[],[],[],[]]\n'],
    ['without the main thread having loaded', '[[]]\n'],
    ['terminate', 'alive\n'],
    ['terminate while starting', 'alive\n'],
    ['end by themselves', 'alive\n'],
  ])('%s', async (way, stdout) => {
    expect(await runChild('workers', [way])).toMatchObject({ ...endsWell, stdout });
  });

  test('exit while workers compute', async () => {
    expect(await runChild('workers', ['exit while workers compute'])).toMatchObject({
      code: 7,
      signal: null,
      stderr: '',
    });
  });
});

describe('memory', () => {
  // Each way makes 1 to 2 GB.
  test.each([
    ['collected on request', 200],
    ['collected unasked', 800],
    ['disposed', 200],
    ['results collected', 200],
  ])('%s', async (way, megabytes) => {
    const child = await runChild('garbage', [way], { flags: ['--expose-gc'] });
    expect(child).toMatchObject(endsWell);
    expect(Number(child.stdout)).toBeLessThan(megabytes);
  });

  test.each(['a view outlives its tensor', 'a view of a disposed tensor'])('%s', async (way) => {
    expect(await runChild('garbage', [way], { flags: ['--expose-gc'] })).toMatchObject(endsWell);
  });
});

test('the event loop keeps turning during a long call', async () => {
  const child = await runChild('event-loop');
  expect(child).toMatchObject(endsWell);
  const { took, calling, longest, turns } = JSON.parse(child.stdout);
  expect(took).toBeGreaterThan(400); // else this says nothing
  expect(calling).toBeLessThan(took / 8);
  expect(longest).toBeLessThan(took / 4);
  expect(turns).toBeGreaterThan(10);
});

const [registerThreads, note] = existsSync('/proc/self/task') ? [test, ''] : [test.skip, ' (skipped: no /proc here)'];

registerThreads(`calls do not leave threads behind${note}`, async () => {
  const child = await runChild('threads');
  expect(child).toMatchObject(endsWell);
  const { few, many } = JSON.parse(child.stdout);
  expect(many).toBeLessThanOrEqual(few);
});
