import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { Tensor } from 'selective-scan';
import { Checkpoint, type Progress } from 'selective-scan/mamba';
import { endsWell, runChild } from './support/child';
import { describeOnEachDevice } from './support/devices';
import { expectFailure, rejectionOf } from './support/failures';
import { newFolder } from './support/folders';
import {
  checkpointNames,
  copyCheckpoint,
  cutIntoShards,
  editJson,
  goldenCheckpoint,
  type HeaderEntry,
  indexName,
  modelNames,
  shardNames,
  tensorBytes,
  trainedModel,
  writeTensors,
} from './support/model-files';
import { readSafetensors } from './support/safetensors';
import './support/patience';

type Tensors = Map<string, HeaderEntry & { bytes: Buffer }>;

/** Rewrites the model.safetensors of a folder. */
function editTensors(folder: string, edit: (tensors: Tensors) => void): void {
  const path = join(folder, 'model.safetensors');
  const tensors = tensorBytes(readFileSync(path));
  edit(tensors);
  writeTensors(path, tensors);
}

function editConfig(folder: string, change: object): void {
  editJson(join(folder, 'config.json'), (config) => Object.assign(config, change));
}

function rename(tensors: Tensors, from: string, to: string): void {
  tensors.set(to, tensors.get(from) as HeaderEntry & { bytes: Buffer });
  tensors.delete(from);
}

/** That a folder is refused, in which words. */
async function expectRefusal(folder: string, about: string, code = 'ERR_CHECKPOINT'): Promise<void> {
  expectFailure(await rejectionOf(Checkpoint.open(folder)), { code, about });
}

describeOnEachDevice((device) => {
  const rows = [
    ...checkpointNames.map((name) => [name, goldenCheckpoint(name)]),
    ...modelNames.map((name) => [name, trainedModel(name)]),
  ];

  test.each(rows)('%s, all weights', async (_, folder) => {
    const checkpoint = await Checkpoint.open(folder);
    const seen: Progress[] = [];
    const weights = await checkpoint.load({ device, onProgress: (progress) => seen.push(progress) });
    await checkpoint.close();
    const want = readSafetensors(join(folder, 'model.safetensors'));
    expect([...weights.keys()].map((name) => (name === 'lm_head.weight' ? name : `backbone.${name}`)).sort()).toEqual(
      Object.keys(want).sort(),
    );
    for (const [name, tensor] of weights) {
      const { shape, values } = want[`backbone.${name}`] ?? want[name];
      const got = await tensor.toArray();
      expect([name, tensor.device, tensor.dims]).toEqual([name, device, shape]);
      expect([name, values.findIndex((value, i) => !Object.is(got[i], value))]).toEqual([name, -1]);
      tensor.dispose();
    }
    expect(seen.map(({ done }) => done)).toEqual(seen.map(({ done }) => done).sort((a, b) => a - b));
    expect(seen.at(-1)).toEqual({ done: checkpoint.bytes, total: checkpoint.bytes });
  });
});

describe('layouts', () => {
  test('shards with an index hold the same as one file', async () => {
    const folder = copyCheckpoint('untied', newFolder());
    cutIntoShards(folder);
    const [one, many] = [await Checkpoint.open(goldenCheckpoint('untied')), await Checkpoint.open(folder)];
    expect([...many.tensors.keys()].sort()).toEqual([...one.tensors.keys()].sort());
    for (const name of one.tensors.keys()) {
      using whole = await one.tensor(name, { device: 'cpu' });
      using part = await many.tensor(name, { device: 'cpu' });
      expect([name, part.dims, part.data]).toEqual([name, whole.dims, whole.data]);
    }
    await Promise.all([one.close(), many.close()]);
  });

  test('one file goes before shards', async () => {
    const folder = copyCheckpoint('plain', newFolder());
    writeFileSync(join(folder, indexName), 'not read');
    await (await Checkpoint.open(folder)).close();
  });

  test('files may be links to elsewhere, as in the cache of Hugging Face', async () => {
    const folder = newFolder();
    for (const file of ['config.json', 'model.safetensors']) {
      symlinkSync(join(goldenCheckpoint('plain'), file), join(folder, file));
    }
    await (await Checkpoint.open(folder)).close();
  });

  test("the embedding's old name", async () => {
    const folder = copyCheckpoint('plain', newFolder());
    editTensors(folder, (tensors) => rename(tensors, 'backbone.embeddings.weight', 'backbone.embedding.weight'));
    const checkpoint = await Checkpoint.open(folder);
    using tensor = await checkpoint.tensor('embeddings.weight', { device: 'cpu' });
    expect(tensor.dims).toEqual([64, 32]);
    expect(checkpoint.tensors.has('embedding.weight')).toBe(false);
    await checkpoint.close();
  });

  test('a head that is written, although it is the embedding', async () => {
    const folder = copyCheckpoint('untied', newFolder());
    editConfig(folder, { tie_word_embeddings: true });
    const checkpoint = await Checkpoint.open(folder);
    expect(checkpoint.config.tieWordEmbeddings).toBe(true);
    expect(checkpoint.tensors.has('lm_head.weight')).toBe(false);
    await checkpoint.close();
  });
});

describe('files that do not fit the config', () => {
  const rows: [what: string, golden: string, edit: (folder: string) => void, about: string][] = [
    [
      'a missing tensor',
      'plain',
      (folder) => editTensors(folder, (tensors) => tensors.delete('backbone.layers.1.mixer.D')),
      "to hold the tensors that its config.json implies but received none named 'layers.1.mixer.D'.",
    ],
    [
      'a surplus tensor',
      'plain',
      (folder) => editTensors(folder, (tensors) => tensors.set('backbone.extra', anyTensor(tensors))),
      "received also 'extra'.",
    ],
    [
      'two embeddings, by the old name and the new',
      'plain',
      (folder) => editTensors(folder, (tensors) => tensors.set('backbone.embedding.weight', anyTensor(tensors))),
      "to hold one 'embeddings.weight' but received two.",
    ],
    [
      'a tensor turned',
      'plain',
      (folder) => editTensors(folder, (tensors) => tensors.get('backbone.embeddings.weight')?.shape.reverse()),
      "received 'embeddings.weight' of shape [32, 64] for [64, 32].",
    ],
    [
      'a tensor without an axis of 1',
      'plain',
      (folder) =>
        editTensors(folder, (tensors) => tensors.get('backbone.layers.0.mixer.conv1d.weight')?.shape.splice(1, 1)),
      "'layers.0.mixer.conv1d.weight' of shape [64, 4] for [64, 1, 4]",
    ],
    [
      'a tensor of integers',
      'plain',
      (folder) =>
        editTensors(folder, (tensors) => {
          for (const tensor of [tensors.get('backbone.norm_f.weight')]) if (tensor) tensor.dtype = 'I16';
        }),
      "received 'norm_f.weight' of I16.",
    ],
    [
      'no head',
      'plain',
      (folder) => editConfig(folder, { tie_word_embeddings: false }),
      "none named 'lm_head.weight'.",
    ],
    ['biases that are not told of', 'bias', (folder) => editConfig(folder, { use_bias: false }), "also 'layers."],
    ['biases that are not there', 'plain', (folder) => editConfig(folder, { use_bias: true }), 'in_proj.bias'],
    [
      'a bias of the convolution',
      'no_conv_bias',
      (folder) => editConfig(folder, { use_conv_bias: true }),
      'conv1d.bias',
    ],
    ['a layer too many', 'plain', (folder) => editConfig(folder, { num_hidden_layers: 1 }), 'and 5 more'],
    ['a layer too few', 'plain', (folder) => editConfig(folder, { num_hidden_layers: 3 }), "'layers.2.norm.weight'"],
    [
      'as many layers as a config may have',
      'plain',
      (folder) => editConfig(folder, { num_hidden_layers: 4096 }),
      'more',
    ],
    [
      'another state size',
      'plain',
      (folder) => editConfig(folder, { state_size: 8 }),
      "'layers.0.mixer.A_log' of shape",
    ],
    ['another rank', 'plain', (folder) => editConfig(folder, { time_step_rank: 'auto', hidden_size: 48 }), '[64, 48]'],
    [
      'sizes whose product overflows',
      'plain',
      (folder) => editConfig(folder, { hidden_size: 2 ** 31 - 1, intermediate_size: 2 ** 31 - 1 }),
      'for [4294967294, 2147483647]',
    ],
    [
      "a name that is not this kind of model's",
      'plain',
      (folder) => editTensors(folder, (tensors) => rename(tensors, 'backbone.norm_f.weight', 'model.norm_f.weight')),
      "none named 'norm_f.weight'; also 'model.norm_f.weight'.",
    ],
  ];

  test.each(rows)('%s', async (_, golden, edit, about) => {
    const folder = copyCheckpoint(golden, newFolder());
    edit(folder);
    await expectRefusal(folder, about);
  });

  function anyTensor(tensors: Tensors): HeaderEntry & { bytes: Buffer } {
    return [...tensors.values()][0];
  }
});

describe('files that are wrong', () => {
  test('no folder, no config, no weights', async () => {
    await expectRefusal(undefined as unknown as string, 'Expected folder to be a string', 'ERR_OPTION');
    await expectRefusal(join(newFolder(), 'none'), 'config.json');
    const folder = copyCheckpoint('plain', newFolder());
    rmSync(join(folder, 'model.safetensors'));
    await expectRefusal(folder, 'to hold model.safetensors or model.safetensors.index.json but received neither.');
    rmSync(join(folder, 'config.json'));
    await expectRefusal(folder, "config.json' to be a file that can be read but received ENOENT.");
  });

  test.each([
    ['of no bytes', '', 'to be JSON'],
    ['of an array', '[]', 'to hold a JSON object'],
    ['with a key twice', '{"model_type": "mamba", "model_type": "falcon_mamba"}', "'model_type' twice"],
    ['with a byte order mark', '\uFEFF{"model_type": "mamba"}', 'to be JSON'],
    ['of more than 8 MB', `{${' '.repeat(2 ** 23)}}`, 'to have at most 8388608 bytes'],
  ])('a config %s', async (_, text, about) => {
    const folder = copyCheckpoint('plain', newFolder());
    writeFileSync(join(folder, 'config.json'), text);
    await expectRefusal(folder, about);
  });

  test('a model of another kind', async () => {
    const folder = copyCheckpoint('plain', newFolder());
    editConfig(folder, { model_type: 'llama' });
    await expectRefusal(folder, "model_type of config.json to be 'mamba' or 'falcon_mamba'", 'ERR_UNSUPPORTED');
  });

  const [one, other] = shardNames;
  const inShards: [what: string, edit: (index: any, folder: string) => void, about: string][] = [
    ['a shard that is not there', (_, folder) => rmSync(join(folder, other)), 'ENOENT'],
    ['no weight_map', (index) => delete index.weight_map, 'weight_map'],
    ['a weight_map that is an array', (index) => Object.assign(index, { weight_map: [one] }), 'to be an object'],
    [
      'a tensor in the other shard',
      (index) => swap(index.weight_map, 'backbone.norm_f.weight'),
      "'backbone.norm_f.weight' to be in",
    ],
    ['a tensor that no shard has', (index) => Object.assign(index.weight_map, { extra: one }), "'extra' to be in"],
    [
      'a tensor that the index leaves out',
      (index) => delete index.weight_map['backbone.norm_f.weight'],
      "also 'backbone.norm_f.weight'",
    ],
    ['an index of nothing', (index) => Object.assign(index, { weight_map: {} }), 'none named'],
    [
      'a tensor in both shards',
      (_, folder) => {
        const tensors = tensorBytes(readFileSync(join(folder, other)));
        const [first] = tensorBytes(readFileSync(join(folder, one)));
        writeTensors(join(folder, other), [...tensors, first]);
      },
      `'${other}' to hold what`,
    ],
  ];
  const names = [
    '../model.safetensors',
    '/etc/model.safetensors',
    'sub/model.safetensors',
    '..\\model.safetensors',
    'C:model.safetensors',
    '..',
    '.',
    '',
    'config.json',
    '.safetensors',
    'a\0.safetensors',
    7,
    null,
    ['a.safetensors'],
  ];
  for (const name of names) {
    const edit = (index: any) => Object.assign(index.weight_map, { 'backbone.norm_f.weight': name });
    inShards.push([`a shard named ${JSON.stringify(name)}`, edit, 'to name .safetensors files of its folder']);
  }

  test.each(inShards)('%s', async (_, edit, about) => {
    const folder = copyCheckpoint('plain', newFolder());
    cutIntoShards(folder);
    editJson(join(folder, indexName), (index) => edit(index, folder));
    await expectRefusal(folder, about);
  });

  function swap(weightMap: Record<string, string>, name: string): void {
    weightMap[name] = weightMap[name] === one ? other : one;
  }
});

describe('loading', () => {
  test('a dtype for all, or for each by its name', async () => {
    await using checkpoint = await Checkpoint.open(goldenCheckpoint('plain'));
    const narrow = await checkpoint.load({ device: 'cpu', dtype: 'float16' });
    const mixed = await checkpoint.load({
      device: 'cpu',
      dtype: (name) => (name.endsWith('A_log') ? 'float32' : undefined),
    });
    expect(new Set([...narrow.values()].map(({ dtype }) => dtype))).toEqual(new Set(['float16']));
    for (const [name, { dtype }] of mixed) expect(dtype).toBe(name.endsWith('A_log') ? 'float32' : 'bfloat16');
  });

  test('aborted half-way: what was read is disposed of', async () => {
    const checkpoint = await Checkpoint.open(trainedModel('tiny-code-lm'));
    const controller = new AbortController();
    const { signal } = controller;
    const onProgress = ({ done, total }: Progress) => {
      read++; // a tensor each: none is of more than one piece
      if (done > total / 2) controller.abort();
    };
    const dispose = jest.spyOn(Tensor.prototype, 'dispose');
    let read = 0;
    const error = await rejectionOf(checkpoint.load({ device: 'cpu', signal, onProgress }));
    expectFailure(error, { code: 'ERR_ABORTED', about: 'aborted' });
    expect(read).toBeGreaterThan(2);
    expect(dispose).toHaveBeenCalledTimes(read);
    dispose.mockRestore();
    await checkpoint.close();
  });

  test.each([
    ['a name that is not there', 'layers.9.norm.weight', {}, 'ERR_OPTION', 'layers.9.norm.weight'],
    ['a name as the file has it', 'backbone.norm_f.weight', {}, 'ERR_OPTION', 'backbone.norm_f.weight'],
    ['a dtype of another kind', 'norm_f.weight', { dtype: 'int8' }, 'ERR_DTYPE', "'int8'"],
  ])('%s', async (_, name, options, code, about) => {
    const checkpoint = await Checkpoint.open(goldenCheckpoint('plain'));
    expectFailure(await rejectionOf(checkpoint.tensor(name, options as object)), { code, about });
    await checkpoint.close();
    expectFailure(await rejectionOf(checkpoint.tensor('norm_f.weight')), { code: 'ERR_DISPOSED', about: 'closed' });
  });

  test.each([
    ['a dtype by name that is of another kind', { dtype: () => 'int8' }, 'ERR_DTYPE', "'int8'"],
    ['an option that is none', { types: 1 }, 'ERR_OPTION', "'types'"],
    ['onProgress that is none', { onProgress: true }, 'ERR_OPTION', 'onProgress'],
  ])('%s', async (_, options, code, about) => {
    const checkpoint = await Checkpoint.open(goldenCheckpoint('plain'));
    expectFailure(await rejectionOf(checkpoint.load(options as object)), { code, about });
    await checkpoint.close();
  });

  test('a folder that is refused leaves no file open', async () => {
    const child = await runChild('refused-checkpoint');
    expect(child).toMatchObject({ ...endsWell, stdout: '0 more files open\n' });
  });
});
