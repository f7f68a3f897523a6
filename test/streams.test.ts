import { describe, expect, test } from '@jest/globals';
import { device, Stream, selectiveScan, selectiveScanSync, selectiveStateUpdateSync, Tensor } from 'selective-scan';
import { typedArrayOptions } from './support/call';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { expectFailure, rejectionOf, thrownBy } from './support/failures';
import { randomCase } from './support/random-case';
import { sameValues, scanOptions, tensorsIn } from './support/small-call';
import { updateCase, updateOptions } from './support/update-case';
import './support/patience';

// Long enough that what does not wait comes too early.
const slow = { batch: 1, dim: 64, seqlen: 20_000 };

describeOnEachDevice((name) => {
  test.each(['promise', 'sync'])('a call in a stream gives what it gives without, as tensors, %s', async (form) => {
    using stream = new Stream(name);
    const options = { ...scanOptions(name), returnLastState: true };
    const want = selectiveScanSync(options);
    const inStream = { ...options, stream };
    const got = form === 'promise' ? await selectiveScan(inStream) : selectiveScanSync(inStream);
    expect(got.device).toBe(want.device);
    expect(sameValues(await got.out.toArray(), await want.out.toArray())).toBe(true);
    expect(sameValues((got.lastState as Tensor).toArraySync(), (want.lastState as Tensor).toArraySync())).toBe(true);
  });

  test.each(['promise', 'sync'])('and as typed arrays, %s', async (form) => {
    using stream = new Stream(name);
    const { device: _, ...options } = typedArrayOptions(randomCase(), name);
    const want = selectiveScanSync({ ...options, device: name });
    const got =
      form === 'promise' ? await selectiveScan({ ...options, stream }) : selectiveScanSync({ ...options, stream });
    expect(got.device).toBe(want.device);
    expect(sameValues(got.out as Float32Array, want.out as Float32Array)).toBe(true);
  });

  test('calls in a stream run in the order in which they were made, whichever their form', async () => {
    using stream = new Stream(name);
    const options = { ...scanOptions(name, slow), returnLastState: true, stream };
    const first = selectiveScan(options);
    const second = selectiveScanSync({ ...options, u: options.delta });
    const { out } = await first;
    const alone = selectiveScanSync({ ...options, u: options.delta, stream: undefined });
    expect(sameValues(second.out.toArraySync(), alone.out.toArraySync())).toBe(true);
    expect(sameValues(out.toArraySync(), selectiveScanSync({ ...options, stream: undefined }).out.toArraySync())).toBe(
      true,
    );
  });

  test('an event orders what one stream reads after what another writes', async () => {
    using writer = new Stream(name);
    using reader = new Stream(name);
    const options = scanOptions(name, slow);
    const want = selectiveScanSync({ ...options, u: selectiveScanSync(options).out }).out.toArraySync();
    // Several times, because an order that nothing keeps may be right by chance.
    for (let i = 0; i < 5; i++) {
      const made = Tensor.from(new Float32Array(options.u.size), options.u.dims).toSync(name);
      const pending = selectiveScan({ ...options, stream: writer }).then(({ out }) => out.dispose());
      const written = selectiveScan({ ...options, stream: writer });
      await Promise.all([pending, written]);
      const { out } = await written;
      const copied = made.copyFrom(out, { stream: writer });
      reader.wait(writer.record());
      const got = selectiveScanSync({ ...options, u: made, stream: reader });
      expect(sameValues(got.out.toArraySync(), want)).toBe(true);
      await copied;
    }
  });

  test('a device and its streams wait for each other', async () => {
    using stream = new Stream(name);
    const own = device(name);
    const options = scanOptions(name, slow);
    const middle = selectiveScanSync(options).out;
    const want = selectiveScanSync({ ...options, u: middle }).out.toArraySync();
    const target = Tensor.from(new Float32Array(options.u.size), options.u.dims).toSync(name);
    own.synchronizeSync();
    const busy = selectiveScan({ ...options, stream });
    const copied = target.copyFrom(middle, { stream });
    own.wait(stream.record());
    const { out } = selectiveScanSync({ ...options, u: target });
    stream.wait(own.record());
    expect(sameValues(out.toArraySync({ stream }), want)).toBe(true);
    await Promise.all([busy, copied]);
  });

  test('memory that another stream still uses is not given out again', async () => {
    using stream = new Stream(name);
    const options = scanOptions(name, slow);
    const want = selectiveScanSync(options).out.toArraySync();
    for (let i = 0; i < 10; i++) {
      const u = options.u.toSync(name);
      await device(name).synchronize();
      const promise = selectiveScan({ ...options, u, stream });
      const more = [selectiveScan({ ...options, u, stream }), selectiveScan({ ...options, u, stream })];
      u.dispose();
      // Of the size of u, and of other values.
      for (let j = 0; j < 3; j++) selectiveScanSync({ ...options, u: options.delta }).out.dispose();
      const outs = (await Promise.all([promise, ...more])).map(({ out }) => out);
      for (const out of outs) expect(sameValues(out.toArraySync(), want)).toBe(true);
      for (const out of outs) out.dispose();
    }
  });

  test('many calls in many streams at once are right', async () => {
    const streams = Array.from({ length: 5 }, () => new Stream(name));
    const options = scanOptions(name);
    const want = selectiveScanSync(options).out.toArraySync();
    const chain = async (stream: Stream): Promise<boolean> => {
      for (let i = 0; i < 20; i++) {
        const { out } = await selectiveScan({ ...options, stream });
        const values = await out.toArray();
        out.dispose();
        if (!sameValues(values, want)) return false;
      }
      return true;
    };
    const all = await Promise.all(streams.flatMap((stream) => [chain(stream), chain(stream)]));
    expect(all).toEqual(all.map(() => true));
    for (const stream of streams) stream.dispose();
  });

  test('what was called in a stream outlives it', async () => {
    const options = scanOptions(name, slow);
    const stream = new Stream(name);
    const promise = selectiveScan({ ...options, stream });
    stream.dispose();
    const { out } = await promise;
    expect(sameValues(out.toArraySync(), selectiveScanSync(options).out.toArraySync())).toBe(true);
    expectFailure(
      thrownBy(() => stream.record()),
      { code: 'ERR_DISPOSED', about: 'stream' },
    );
    expectFailure(
      thrownBy(() => selectiveScanSync({ ...options, stream })),
      { code: 'ERR_DISPOSED', about: 'stream' },
    );
    stream.dispose();
    expect(stream.disposed).toBe(true);
  });

  test('streams that are opened and disposed over and over are a few', async () => {
    const { u } = scanOptions(name);
    for (let i = 0; i < 300; i++) {
      using stream = new Stream(name);
      await u.toArray({ stream });
    }
  });

  test('an update in a stream, and its transfers', async () => {
    using stream = new Stream(name);
    const tensor = (dims: number[], fill: number): Tensor => {
      const size = dims.reduce((product, axis) => product * axis, 1);
      return Tensor.from(
        Float32Array.from({ length: size }, (_, i) => Math.sin(fill + i)),
        dims,
      ).toSync(name, { stream });
    };
    const call = () => ({
      state: tensor([2, 8, 16], 1),
      u: tensor([2, 8], 2),
      delta: tensor([2, 8], 3),
      A: tensor([8, 16], 4),
      B: tensor([2, 16], 5),
      C: tensor([2, 16], 6),
    });
    const [there, here] = [call(), call()];
    stream.synchronizeSync();
    const { out } = selectiveStateUpdateSync({ ...there, stream });
    const want = selectiveStateUpdateSync(here);
    expect(sameValues(await out.toArray(), await want.out.toArray())).toBe(true);
    expect(sameValues(await there.state.toArray({ stream }), await here.state.toArray())).toBe(true);
    const home = await there.state.to('cpu', { stream });
    expect(sameValues(home.toArraySync(), there.state.toArraySync({ stream }))).toBe(true);
    for (const made of [...tensorsIn(there), ...tensorsIn(here), out, want.out, home]) made.dispose();
  });
});

describeOnEachDevice((name) => {
  test('what is read is what was there at the call, whatever is called before it settles', async () => {
    const [read, plain] = [1, 2].map(() => updateOptions(updateCase({ batch: 4, dim: 256 }), name));
    if (!read || !plain) throw new Error('Two of them were made.');
    const reads: Promise<ArrayLike<number>>[] = [];
    const want: ArrayLike<number>[] = [];
    for (let step = 0; step < 30; step++) {
      reads.push(read.state.toArray());
      const home = read.state.to('cpu');
      reads.push(home.then((tensor) => tensor.toArray()));
      selectiveStateUpdateSync(read);
      const values = plain.state.toArraySync();
      want.push(values, values);
      selectiveStateUpdateSync(plain);
    }
    const got = await Promise.all(reads);
    expect(got.map((values, i) => sameValues(values, want[i] as ArrayLike<number>))).toEqual(got.map(() => true));
  });
});

describe('wrong arguments', () => {
  const options = scanOptions('cpu');
  test.each([0, 'stream', {}, null, device('cpu')])('a stream that is none, %#', async (stream) => {
    const wrong = { ...options, stream: stream as Stream };
    expectFailure(
      thrownBy(() => selectiveScanSync(wrong)),
      { code: 'ERR_OPTION', about: 'stream' },
    );
    expectFailure(await rejectionOf(selectiveScan(wrong)), { code: 'ERR_OPTION', about: 'stream' });
    expectFailure(await rejectionOf(options.u.toArray({ stream: stream as Stream })), {
      code: 'ERR_OPTION',
      about: 'stream',
    });
  });

  test('devices and events that are none', () => {
    expectFailure(
      thrownBy(() => new Stream('cuda:9999')),
      { code: 'ERR_DEVICE', about: 'device' },
    );
    expectFailure(
      thrownBy(() => device('tpu')),
      { code: 'ERR_DEVICE', about: 'device' },
    );
    const wait = device('cpu').wait.bind(device('cpu')) as (event: unknown) => void;
    for (const event of [undefined, null, {}, 1]) {
      expectFailure(
        thrownBy(() => wait(event)),
        { code: 'ERR_OPTION', about: 'event' },
      );
    }
  });

  test('the memory of the CPU is not kept', async () => {
    expectFailure(
      thrownBy(() => device('cpu').memory()),
      { code: 'ERR_UNSUPPORTED', about: 'cpu' },
    );
    await device('cpu').emptyCache();
  });
});

describeOnGpus((name) => {
  test('a stream, an event and tensors of different devices', async () => {
    using stream = new Stream(name);
    const options = scanOptions('cpu');
    expectFailure(
      thrownBy(() => selectiveScanSync({ ...options, stream })),
      { code: 'ERR_DEVICE', about: 'stream' },
    );
    expectFailure(
      thrownBy(() => options.u.toSync('cpu', { stream })),
      { code: 'ERR_DEVICE', about: 'stream' },
    );
    expectFailure(
      thrownBy(() => stream.wait(device('cpu').record())),
      { code: 'ERR_DEVICE', about: 'event' },
    );
  });

  test('memory is counted, kept and given back', async () => {
    const gpu = device(name);
    const bytes = 64 * 1024 * 1024;
    const before = gpu.memory().used;
    const tensor = Tensor.from(new Float32Array(bytes / 4), [bytes / 4]).toSync(name);
    const held = gpu.memory();
    expect(held.used - before).toBeGreaterThanOrEqual(bytes);
    expect(held.used - before).toBeLessThan(1.1 * bytes);
    expect(held.peak).toBeGreaterThanOrEqual(held.used);
    tensor.dispose();
    expect(gpu.memory().used).toBe(before);
    expect(gpu.memory().peak).toBeGreaterThanOrEqual(held.peak);
    if (process.env.SELECTIVE_SCAN_MEMORY_CACHE !== '0') expect(gpu.memory().cached).toBeGreaterThanOrEqual(bytes);
    await gpu.emptyCache();
    expect(gpu.memory().cached).toBeLessThan(bytes);
  });
});
