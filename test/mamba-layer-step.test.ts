import { expect, test } from '@jest/globals';
import { device as deviceOf, mambaLayerStep, mambaLayerStepSync, type Tensor } from 'selective-scan';
import { describeOnEachDevice, describeOnGpus } from './support/devices';
import { rejectionOf } from './support/failures';
import {
  callLayerSteps,
  type LayerStepSpec,
  layerStepCase,
  layerStepComplaints,
  layerStepTensors,
  tensorOn,
} from './support/layer-step-case';
import './support/patience';

type Row = [name: string, reason: string, spec: LayerStepSpec];

const floats = ['float32', 'float16', 'bfloat16'] as const;

const dtypes: Row[] = floats.flatMap((dtype) =>
  floats.flatMap((ssmStateDType) =>
    (dtype === 'float32' ? ([dtype] as const) : (['float32', dtype] as const)).map((vectorDType): Row => {
      const spec = { dtype, ssmStateDType, vectorDType, convStateDType: vectorDType };
      return [`${dtype}, states ${ssmStateDType}, vectors ${vectorDType}`, 'its own loads', spec];
    }),
  ),
);

const sizes: Row[] = [
  ...[1, 2, 8, 9, 20].map((batch): Row => [`batch ${batch}`, 'rows that a block takes at once, and more', { batch }]),
  ...floats.map((dtype): Row => {
    const spec = { dtype, batch: 9, hidden: 37, dim: 71, dtRank: 5, dstate: 7 };
    return [`odd sizes, ${dtype}`, 'rows of matrices that begin at no vector', spec];
  }),
  ...floats.map((dtype): Row => {
    const spec = { dtype, batch: 2, hidden: 320, dim: 1030, dtRank: 20 };
    return [`hidden 320, dim 1030, ${dtype}`, 'several chunks a warp, and blocks of several tiles', spec];
  }),
  ['width 2', 'one past input', { width: 2 }],
  ['width 3', 'two past inputs', { width: 3, dtype: 'bfloat16' }],
  ['dstate 8', 'lanes without states', { dstate: 8 }],
  ['dstate 20', 'a second round of some lanes', { dstate: 20, dtype: 'float16' }],
  ['dstate 1, dtRank 1', 'the smallest selection', { dstate: 1, dtRank: 1 }],
  ['all sizes 1', 'the smallest layer', { batch: 1, hidden: 1, dim: 1, dtRank: 1, dstate: 1, width: 2 }],
  ['dtRank 40', 'several pieces a lane', { dtRank: 40, dtype: 'bfloat16' }],
];

const options: Row[] = [
  ['no biases', 'nothing to add', { hasBiases: false }],
  ['no biases, 16 bits', 'the same', { hasBiases: false, dtype: 'bfloat16' }],
  ...floats.map((dtype): Row => [`mixerNormEps, ${dtype}`, 'norms of Falcon-Mamba', { mixerNormEps: 1e-6, dtype }]),
  ['five steps', 'states that go on', { steps: 5, dtype: 'bfloat16', convStateDType: 'bfloat16' }],
];

const slots: Row[] = [
  ['in another order', 'rows and slots are not the same', { batch: 4, slots: [2, 0, 3, 1] }],
  ['some of many', 'a pool with room', { batch: 3, slots: [9, 0, 4], poolSize: 11 }],
  ['one left out', 'a place in the batch that is free', { batch: 3, slots: [1, -1, 0], dtype: 'bfloat16' }],
  ['all left out', 'nothing to do but for the residual', { batch: 2, slots: [-1, -1], poolSize: 0 }],
];

describeOnEachDevice((device) => {
  test.each([...dtypes, ...sizes, ...options])('%s: %s', async (_name, _reason, spec) => {
    const problem = layerStepCase(spec);
    for (const form of ['promise', 'sync'] as const) {
      expect(layerStepComplaints(problem, await callLayerSteps(problem, device, form))).toEqual([]);
    }
  });

  test.each(slots)('slots %s: %s', async (_name, _reason, spec) => {
    const problem = layerStepCase(spec);
    for (const slotsAs of device === 'cpu' ? (['array'] as const) : (['array', 'device'] as const)) {
      expect(layerStepComplaints(problem, await callLayerSteps(problem, device, 'promise', slotsAs))).toEqual([]);
    }
  });

  test('states of slots that no row has stay as they were', async () => {
    const problem = layerStepCase({ batch: 2, slots: [3, -1], poolSize: 5 });
    const got = await callLayerSteps(problem, device);
    for (const name of ['convState', 'ssmState'] as const) {
      const before = problem.arrays.get(name)?.values as Float64Array;
      const size = before.length / 5;
      const untouched = (x: Float64Array) => [...x.subarray(0, 3 * size), ...x.subarray(4 * size)];
      expect(untouched(got[name])).toEqual(untouched(before));
    }
  });

  test.each(floats)('a row gives the same bits in any batch, %s', async (dtype) => {
    const problem = layerStepCase({ batch: 9, hidden: 160, dim: 330, dtype });
    const together = await callLayerSteps(problem, device);
    for (const row of [0, 4, 8]) {
      const alone = await callLayerSteps(rowOf(problem, row), device);
      const { hidden } = problem;
      const mine = together.outs.map((out) => out.subarray(row * hidden, (row + 1) * hidden));
      expect(alone.outs).toEqual(mine);
    }
  });

  test('batch 0 gives an empty result', () => {
    const problem = layerStepCase({ batch: 0, steps: 1 });
    const hidden = tensorOn(device, { values: new Float64Array(0), dims: [0, 48], dtype: 'float32' });
    const { out, device: where } = mambaLayerStepSync({ ...layerStepTensors(problem, device), hidden });
    expect([out.dims, where]).toEqual([[0, 48], device]);
  });

  test('a step that was aborted before touches no state', async () => {
    const problem = layerStepCase({ steps: 1 });
    const tensors = layerStepTensors(problem, device);
    const hidden = tensorOn(device, problem.inputs[0] as (typeof problem.inputs)[number]);
    const error = await rejectionOf(mambaLayerStep({ ...tensors, hidden, signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: 'ERR_ABORTED' });
    expect([...(await tensors.residual.toArray())]).toEqual([...(problem.arrays.get('residual')?.values ?? [])]);
  });

  test('captured layers give what calls give', async () => {
    const problem = layerStepCase({ dtype: 'bfloat16', steps: 1 });
    const calls = layerStepTensors(problem, device);
    const captured = layerStepTensors(problem, device);
    const hidden = tensorOn(device, problem.inputs[0] as (typeof problem.inputs)[number]);
    const twice = (tensors: typeof calls): Tensor => {
      const { out } = mambaLayerStepSync({ ...tensors, hidden });
      return mambaLayerStepSync({ ...tensors, hidden: out }).out;
    };
    let out: Tensor | undefined;
    const graph = deviceOf(device).capture(() => {
      out = twice(captured);
    });
    for (let i = 0; i < 3; i++) {
      graph.replay();
      expect([...(await (out as Tensor).toArray())]).toEqual([...(await twice(calls).toArray())]);
    }
    for (const name of ['residual', 'convState', 'ssmState'] as const) {
      expect([...(await captured[name].toArray())]).toEqual([...(await calls[name].toArray())]);
    }
    graph.dispose();
  });
});

/** One row of a problem without slots, alone. */
function rowOf(problem: ReturnType<typeof layerStepCase>, row: number): ReturnType<typeof layerStepCase> {
  const cut = <T extends { values: Float64Array; dims: number[] }>(array: T): T => {
    const size = array.values.length / problem.batch;
    const values = array.values.subarray(row * size, (row + 1) * size);
    return { ...array, values, dims: [1, ...array.dims.slice(1)] };
  };
  const ofRows: ReadonlySet<string> = new Set(['residual', 'convState', 'ssmState']);
  const arrays = [...problem.arrays].map(([name, array]) => [name, ofRows.has(name) ? cut(array) : array] as const);
  return { ...problem, batch: 1, arrays: new Map(arrays), inputs: problem.inputs.map(cut) };
}

describeOnGpus((device) => {
  test('a slot on the GPU that does not exist gives NaN and touches no state', async () => {
    const problem = layerStepCase({ batch: 2, slots: [0, -1], poolSize: 3, steps: 1 });
    const got = await callLayerSteps({ ...problem, slots: [0, 7] }, device, 'sync', 'device');
    const out = got.outs[0] as Float64Array;
    expect(out.subarray(problem.hidden).every(Number.isNaN)).toBe(true);
    out.fill(0, problem.hidden);
    expect(layerStepComplaints(problem, got)).toEqual([]);
  });
});
