import { describe, expect, test } from '@jest/globals';
import { type Progress, type SelectiveScanError, selectiveScan, selectiveScanSync } from 'selective-scan';
import { tensorOptions, typedArrayOptions } from './support/call';
import { complaintsAgainstReference } from './support/closeness';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, rejectionOf, thrownBy } from './support/failures';
import { randomCase } from './support/random-case';
import './support/patience';

test.each([5, null, {}])('onProgress may not be %j', async (onProgress) => {
  const options = { ...typedArrayOptions(randomCase(), 'cpu'), onProgress } as any;
  expectFailure(await rejectionOf(selectiveScan(options)), { code: 'ERR_OPTION', about: 'onProgress' });
});

test('the blocking form takes none', () => {
  const options = { ...typedArrayOptions(randomCase(), 'cpu'), onProgress: () => {} } as any;
  expectFailure(
    thrownBy(() => selectiveScanSync(options)),
    { code: 'ERR_OPTION', about: 'onProgress' },
  );
});

describeOnEachDevice((device) => {
  // Some hundredths of a second of work for a CPU, and more for the link of a GPU than it moves in a turn.
  const long = typedArrayOptions(randomCase({ batch: 8, dim: 64, seqlen: 8192, dstate: 16 }), device);
  const total = (long.u as Float32Array).length;

  test('reports rise to the total, and there are none after it has settled', async () => {
    const reports: Progress[] = [];
    await selectiveScan({ ...long, onProgress: (progress) => reports.push(progress) });
    const count = reports.length;
    expect(count).toBeGreaterThan(0);
    expect(reports.at(-1)).toEqual({ done: total, total });
    const done = reports.map((report) => report.done);
    expect([...done].sort((a, b) => a - b)).toEqual(done);
    expect(new Set(done).size).toBe(count);
    expect(reports.every((report) => report.total === total)).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(reports).toHaveLength(count);
  });

  test.each(['typed arrays', 'tensors'])('a short call reports its end, %s', async (kind) => {
    const reports: Progress[] = [];
    const problem = randomCase();
    const options = kind === 'tensors' ? tensorOptions(problem, device).options : typedArrayOptions(problem, device);
    await selectiveScan({ ...options, onProgress: (progress) => reports.push(progress) });
    expect(reports.at(-1)).toEqual({ done: problem.u.length, total: problem.u.length });
  });

  test('an error that it throws stops the call, and the next one is right', async () => {
    const cause = new Error('thrown on purpose');
    const onProgress = (): void => {
      throw cause;
    };
    const failure = (await rejectionOf(selectiveScan({ ...long, onProgress }))) as SelectiveScanError;
    expectFailure(failure, { code: 'ERR_OPTION', about: 'onProgress' });
    expect(failure.cause).toBe(cause);
    const problem = randomCase();
    const { out, lastState } = await selectiveScan(typedArrayOptions(problem, device));
    expect(
      complaintsAgainstReference(problem, { out: out as Float32Array, lastState: lastState as Float32Array }),
    ).toEqual([]);
  });

  describe('abort', () => {
    test.each([0, 1, 10])('after %d ms: ERR_ABORTED, and the next call is right', async (delay) => {
      const want = selectiveScanSync(long).out;
      const controller = new AbortController();
      const call = selectiveScan({ ...long, signal: controller.signal });
      setTimeout(() => controller.abort('no longer wanted'), delay);
      const outcome = await call.then(
        () => 'settled',
        (error) => error.code,
      );
      expect(delay < 5 ? ['ERR_ABORTED'] : ['ERR_ABORTED', 'settled']).toContain(outcome);
      const again = await selectiveScan(long);
      expect(Buffer.from((again.out as Float32Array).buffer).equals(Buffer.from((want as Float32Array).buffer))).toBe(
        true,
      );
    });
  });
});
