import { describe, expect, test } from '@jest/globals';
import { type EmbeddingOptions, embedding, embeddingSync, device as handleOf, Tensor } from 'selective-scan';
import { place } from './support/conv-case';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { expectFailure, rejectionOf, thrownBy } from './support/failures';
import { seeded } from './support/random';
import { type FloatType, roundTo } from './support/rounding';
import './support/patience';

const floats = ['float32', 'float16', 'bfloat16'] as const;

interface Spec {
  vocab?: number;
  dim?: number;
  axes?: number[];
  weightDType?: FloatType;
  dtype?: FloatType;
}

type Row = [name: string, reason: string, spec: Spec];

const rows: Row[] = [
  ...floats.flatMap((weightDType) =>
    floats.map((dtype): Row => [`${weightDType} to ${dtype}`, 'its own kernel', { weightDType, dtype }]),
  ),
  ['dim 1', 'less than a vector', { dim: 1 }],
  ['dim 64', 'whole vectors', { dim: 64, weightDType: 'bfloat16', dtype: 'float32' }],
  ['dim 37, 16 bits', 'rows that no vector of memory begins at', { dim: 37, weightDType: 'float16' }],
  ['dim 5000', 'several blocks a row', { dim: 5000, axes: [3] }],
  ['vocab 1', 'one row for all', { vocab: 1 }],
  ['vocab 50280', 'a table as models have', { vocab: 50_280, dim: 8, axes: [700] }],
  ['many ids', 'more than a kernel takes as parameters, and several pieces', { dim: 40, axes: [4000] }],
  ['two axes', 'a batch of sequences', { axes: [3, 5] }],
  ['no axis', 'one id', { axes: [] }],
  ['no ids', 'an empty result', { axes: [0] }],
  ['no ids, in a batch', 'the same', { axes: [2, 0] }],
];

interface Problem {
  ids: Int32Array;
  axes: number[];
  weight: Float64Array;
  dims: [number, number];
  weightDType: FloatType;
  dtype: FloatType;
}

function makeProblem({ vocab = 20, dim = 33, axes = [9], weightDType = 'float32', dtype }: Spec): Problem {
  const random = seeded(3);
  const weight = Float64Array.from({ length: vocab * dim }, () => roundTo(weightDType, random.normal()));
  const length = axes.reduce((product, size) => product * size, 1);
  const ids = Int32Array.from({ length }, () => random.integer(0, vocab - 1));
  if (length > 1) ids.set([vocab - 1, 0]);
  return { ids, axes, weight, dims: [vocab, dim], weightDType, dtype: dtype ?? weightDType };
}

function expected({ ids, weight, dims: [, dim], dtype }: Problem): Float64Array {
  const out = new Float64Array(ids.length * dim);
  for (const [row, id] of ids.entries()) {
    for (let d = 0; d < dim; d++) out[row * dim + d] = roundTo(dtype, weight[id * dim + d] as number);
  }
  return out;
}

function optionsOf(problem: Problem, device: string, idsOn: string): EmbeddingOptions {
  const { ids, axes, weight, dims, weightDType, dtype } = problem;
  const tensor = Tensor.from(ids, axes);
  return {
    weight: place(weight, dims, weightDType, device),
    ids: idsOn === 'host' ? ids : idsOn === 'cpu' ? tensor : tensor.toSync(idsOn),
    ...(dtype !== weightDType && { dtype }),
  };
}

describeOnEachDevice((device) => {
  test.each(rows)('%s: %s', async (_name, _reason, spec) => {
    const problem = makeProblem(spec);
    const [, dim] = problem.dims;
    for (const idsOn of [...(problem.axes.length === 1 ? ['host'] : []), 'cpu', device]) {
      const options = optionsOf(problem, device, idsOn);
      for (const result of [await embedding(options), embeddingSync(options)]) {
        expect(result).toMatchObject({ device, out: { device, dims: [...problem.axes, dim], dtype: problem.dtype } });
        expect(Float64Array.from(await result.out.toArray())).toEqual(expected(problem));
      }
    }
  });

  test('NaN and infinity come out as they are', async () => {
    const weight = place([Number.NaN, Infinity, -Infinity, -0], [2, 2], 'float32', device);
    for (const dtype of floats) {
      const { out } = embeddingSync({ weight, ids: Int32Array.of(1, 0), dtype });
      expect([...(await out.toArray())]).toEqual([-Infinity, -0, Number.NaN, Infinity]);
    }
  });

  test('ids that the host reads are those of the call', async () => {
    const problem = makeProblem({});
    const ids = Int32Array.from(problem.ids);
    const promise = embedding({ ...optionsOf(problem, device, 'host'), ids });
    ids.fill(0);
    expect(Float64Array.from(await (await promise).out.toArray())).toEqual(expected(problem));
  });

  test('captured, a replay looks up the ids of then', async () => {
    const problem = makeProblem({});
    const options = optionsOf(problem, device, device);
    let out: Tensor | undefined;
    using graph = handleOf(device).capture(() => {
      out = embeddingSync(options).out;
    });
    for (const turn of [1, 2]) {
      const ids = problem.ids.map((id) => (id + turn) % 20);
      (options.ids as Tensor).copyFromSync(ids);
      graph.replay();
      expect(Float64Array.from(await (out as Tensor).toArray())).toEqual(expected({ ...problem, ids }));
    }
  });

  const wrong: [string, number][] = [
    ['past the end', 20],
    ['below 0', -1],
    ['the least integer', -(2 ** 31)],
  ];
  describe.each(['host', 'cpu'])('on %s', (idsOn) => {
    test.each(wrong)('an id %s is refused', async (_what, id) => {
      const problem = makeProblem({});
      problem.ids[4] = id;
      const options = optionsOf(problem, device, idsOn);
      const failure = { code: 'ERR_SHAPE', about: `Expected ids from 0 to 19 but received ${id} at 4.` };
      expectFailure(
        thrownBy(() => embeddingSync(options)),
        failure,
      );
      expectFailure(await rejectionOf(embedding(options)), failure);
    });
  });

  test('an empty table has no ids', async () => {
    const weight = place([], [0, 4], 'float32', device);
    const { out } = embeddingSync({ weight, ids: new Int32Array(0) });
    expect(out.dims).toEqual([0, 4]);
    const failure = { code: 'ERR_SHAPE', about: 'ids' };
    expectFailure(
      thrownBy(() => embeddingSync({ weight, ids: Int32Array.of(0) })),
      failure,
    );
  });
});

describeOnGpus((device) => {
  test.each(floats)('an id that is not there, on the GPU, gives a row of NaN, %s', async (dtype) => {
    for (const dim of [33, 64]) {
      const problem = makeProblem({ dtype, dim });
      const bad = Int32Array.from(problem.ids);
      for (const [row, id] of [
        [2, 20],
        [5, -1],
        [6, 2 ** 31 - 1],
        [8, -(2 ** 31)],
      ] as const)
        bad[row] = id;
      const { out } = embeddingSync(optionsOf({ ...problem, ids: bad }, device, device));
      const want = expected(problem);
      for (const row of [2, 5, 6, 8]) want.fill(Number.NaN, row * dim, (row + 1) * dim);
      expect(Float64Array.from(await out.toArray())).toEqual(want);
    }
  });
});
