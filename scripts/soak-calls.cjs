// The calls of soak.cjs on one device, small ones of every form: an object whose `next()` makes one and whose `dispose()`
// frees what they share.
const { device: deviceOf, selectiveScan, selectiveScanSync, selectiveStateUpdateSync, Stream, Tensor } = require('..');

const [batch, dim, seqlen, dstate] = [1, 8, 16, 4];
const filled = (length, value) => new Float32Array(length).fill(value);
const expectCode = (error, code) => {
  if (error.code !== code) throw error;
};

/** Options of a scan in typed arrays. */
function arraysOf(dim, seqlen, device) {
  return {
    u: filled(batch * dim * seqlen, 0.5),
    delta: filled(batch * dim * seqlen, 0.1),
    A: filled(dim * dstate, -1),
    B: filled(batch * dstate * seqlen, 0.3),
    C: filled(batch * dstate * seqlen, 0.7),
    dims: { batch, dim, seqlen, dstate },
    device,
  };
}

exports.makeCalls = (name) => {
  const device = deviceOf(name);
  const tensor = (data, dims) => {
    const host = Tensor.from(data, dims);
    return name === 'cpu' ? host : host.toSync(name);
  };
  const inArrays = arraysOf(dim, seqlen, name);
  const inTensors = {
    u: tensor(inArrays.u, [batch, dim, seqlen]),
    delta: tensor(inArrays.delta, [batch, dim, seqlen]),
    A: tensor(inArrays.A, [dim, dstate]),
    B: tensor(inArrays.B, [batch, dstate, seqlen]),
    C: tensor(inArrays.C, [batch, dstate, seqlen]),
  };
  const step = {
    state: tensor(filled(batch * dim * dstate, 0), [batch, dim, dstate]),
    u: tensor(filled(batch * dim, 0.5), [batch, dim]),
    delta: tensor(filled(batch * dim, 0.1), [batch, dim]),
    A: inTensors.A,
    B: tensor(filled(batch * dstate, 0.3), [batch, dstate]),
    C: tensor(filled(batch * dstate, 0.7), [batch, dstate]),
  };
  const stream = new Stream(name);
  const graph = device.capture(() => selectiveScanSync(inTensors));

  const forms = [
    () => selectiveScanSync(inArrays),
    () => selectiveScan(inArrays),
    () => selectiveScanSync(inTensors).out.dispose(),
    () => selectiveScanSync({ ...inTensors, returnLastState: true }), // left to the finalizer
    async () => (await selectiveScan(inTensors)).out.dispose(),
    async () => (await selectiveScan({ ...inTensors, signal: new AbortController().signal })).out.toArray(),
    () =>
      selectiveScan({ ...inTensors, signal: AbortSignal.abort() }).catch((error) => expectCode(error, 'ERR_ABORTED')),
    () => selectiveStateUpdateSync(step).out.dispose(),
    async () => (await selectiveScan({ ...inTensors, stream })).out.dispose(),
    () => {
      // Made in one queue, used in another, and disposed before either is done.
      const { out } = selectiveScanSync({ ...inTensors, stream });
      device.wait(stream.record());
      selectiveScanSync({ ...inTensors, u: out }).out.dispose();
      out.dispose();
    },
    () => {
      const short = new Stream(name);
      selectiveScanSync({ ...inTensors, stream: short }).out.dispose();
      short.dispose();
    },
    () => graph.replay(),
    () => {
      const short = device.capture(() => selectiveScanSync(inTensors));
      short.replay();
      short.dispose();
      short.outputs.out.dispose();
    },
  ];
  // Of more than 4 MB, which go to a GPU in slices; rare, so that they do not decide the time. On a CPU they would go another
  // way, and malloc's own reserves would hide what small calls leave behind.
  const large = arraysOf(64, 4 * 4096, name);
  const callsPerLarge = name === 'cpu' ? Infinity : 2000;

  let made = 0;
  return {
    next: () => (++made % callsPerLarge === 0 ? selectiveScan(large) : forms[made % forms.length]()),
    synchronize: () => device.synchronize(),
    dispose() {
      graph.dispose();
      stream.dispose();
      for (const each of [...Object.values(inTensors), ...Object.values(step), graph.outputs.out]) each.dispose();
    },
  };
};
