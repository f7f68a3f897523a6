import { join } from 'node:path';
import { describe } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkpointError, quoted, shorten } from './checkpoint-error.js';
import { type MambaConfig, parseMambaConfig } from './config.js';
import { type LoadAllOptions, type LoadOptions, readLoadOptions } from './load-options.js';
import { checkPath, readJsonFile } from './model-file.js';
import type { SafetensorsFile } from './safetensors.js';
import type { StoredTensor } from './safetensors-header.js';
import { closeShards, openShards } from './shards.js';
import { checkWeights, head, weightName } from './weights.js';

/** Where a weight is: its file, and its name there. */
interface Place {
  readonly file: SafetensorsFile;
  readonly nameInFile: string;
}

/**
 * An open folder of a Mamba model in the layout of Hugging Face: config.json and safetensors, one file or several with
 * their index. It has been checked that the files hold the weights that the config implies; weights are read when they
 * are asked for, by names such as 'layers.3.mixer.in_proj.weight', 'embeddings.weight' and 'norm_f.weight'.
 */
export class Checkpoint {
  readonly folder: string;
  readonly config: MambaConfig;
  /** The weights in the order of the files, as they are stored. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #files: readonly SafetensorsFile[];

  private constructor(folder: string, config: MambaConfig, files: readonly SafetensorsFile[]) {
    this.folder = folder;
    this.config = config;
    this.#files = files;
    this.#places = findPlaces(files, config, `'${folder}'`);
    this.tensors = new Map(Array.from(this.#places, ([name, place]) => [name, storedAt(place)]));
    checkWeights(config, this.tensors, `'${folder}'`);
  }

  /** Bytes that the weights take in the files. */
  get bytes(): number {
    return Array.from(this.tensors.values(), ({ begin, end }) => end - begin).reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Opens a folder and checks its files against each other; ERR_CHECKPOINT says what does not fit. */
  static async open(folder: string): Promise<Checkpoint> {
    const config = parseMambaConfig(await readJsonFile(join(checkPath('folder', folder), 'config.json')));
    const files = await openShards(folder);
    try {
      return new Checkpoint(folder, config, files);
    } catch (error) {
      await closeShards(files);
      throw error;
    }
  }

  /** Reads one weight into a device's memory, a piece at a time. */
  async tensor(name: string, options: LoadOptions = {}): Promise<Tensor> {
    const place = this.#places.get(name);
    if (place !== undefined) return place.file.tensor(place.nameInFile, options);
    throw new SelectiveScanError(
      'ERR_OPTION',
      `Expected name to be that of a weight of '${this.folder}' but received ${shorten(describe(name))}.`,
    );
  }

  /** Reads all weights, one after the other. Where that fails, the ones that were read are disposed of. */
  async load(options: LoadAllOptions = {}): Promise<Map<string, Tensor>> {
    const { dtype, onProgress, ...shared } = readLoadOptions(options);
    const total = this.bytes;
    const loaded = new Map<string, Tensor>();
    let before = 0;
    try {
      for (const [name, { begin, end }] of this.tensors) {
        const tensor = await this.tensor(name, {
          ...shared,
          dtype: typeof dtype === 'function' ? dtype(name) : dtype,
          onProgress: onProgress && (({ done }) => onProgress({ done: before + done, total })),
        });
        loaded.set(name, tensor);
        before += end - begin;
      }
      return loaded;
    } catch (error) {
      for (const tensor of loaded.values()) tensor.dispose();
      throw error;
    }
  }

  /** Closes the files. Tensors read from them stay. */
  close(): Promise<void> {
    return closeShards(this.#files);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function findPlaces(files: readonly SafetensorsFile[], config: MambaConfig, source: string): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const file of files) {
    const inOrder = [...file.tensors].sort(([, a], [, b]) => a.begin - b.begin);
    for (const [nameInFile] of inOrder) {
      const name = weightName(nameInFile);
      if (name === head && config.tieWordEmbeddings) continue;
      if (places.has(name)) throw checkpointError(`${source} to hold one ${quoted(name)}`, 'two');
      places.set(name, { file, nameInFile });
    }
  }
  return places;
}

function storedAt({ file, nameInFile }: Place): StoredTensor {
  return file.tensors.get(nameInFile) as StoredTensor;
}
