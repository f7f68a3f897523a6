import { constants } from 'node:fs';
import { access, type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { checkpointError } from './checkpoint-error.js';
import { type JsonObject, parseJsonObject } from './json.js';

/** The longest JSON text that is parsed, in bytes: a hundred times that of the largest Mamba there is. */
export const longestJson = 8 * 1024 * 1024;

/**
 * An open file, read by ranges. Node has no memory mapping of its own; ranges also keep a file that is cut short
 * meanwhile an error, where a mapping would end the process.
 */
export class ModelFile {
  readonly path: string;
  /** Its length when it was opened. */
  readonly size: number;
  readonly #handle: FileHandle;
  #isClosed = false;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  static async open(path: string): Promise<ModelFile> {
    let handle: FileHandle | undefined;
    try {
      // Without O_NONBLOCK (which Windows has not), opening a named pipe waits for somebody to write into it.
      handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      const stat = await handle.stat();
      if (!stat.isFile()) throw checkpointError(`'${path}' to be a file`, 'a folder or device');
      return new ModelFile(path, stat.size, handle);
    } catch (cause) {
      await handle?.close();
      throw cause instanceof SelectiveScanError ? cause : unreadable(path, cause);
    }
  }

  /** The name without its folder. */
  get name(): string {
    return basename(this.path);
  }

  /** Fills `into` with the bytes from `position` on. */
  async read(position: number, into: Uint8Array): Promise<void> {
    this.#checkOpen();
    for (let done = 0; done < into.length; ) {
      const count = await this.#readSome(position + done, into.subarray(done));
      if (count === 0) throw this.#changed(position + done);
      done += count;
    }
  }

  /** Refuses a file that became longer or shorter since it was opened. */
  async checkSize(): Promise<void> {
    this.#checkOpen();
    const { size } = await this.#handle.stat();
    if (size !== this.size) throw this.#changed(size);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#handle.close();
  }

  async #readSome(position: number, into: Uint8Array): Promise<number> {
    try {
      const { bytesRead } = await this.#handle.read(into, 0, into.length, position);
      return bytesRead;
    } catch (cause) {
      this.#checkOpen();
      throw unreadable(this.path, cause);
    }
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new SelectiveScanError('ERR_DISPOSED', `Expected '${this.path}' to be open but it has been closed.`);
  }

  #changed(size: number): SelectiveScanError {
    return checkpointError(`'${this.path}' to keep its length of ${this.size} bytes while it is read`, `${size} bytes`);
  }
}

/** A path that a caller gave. */
export function checkPath(name: string, path: unknown): string {
  if (typeof path === 'string') return path;
  throw new SelectiveScanError('ERR_OPTION', `Expected ${name} to be a string but received ${describe(path)}.`);
}

/** Reads a whole JSON file. */
export async function readJsonFile(path: string): Promise<JsonObject> {
  return parseJsonObject(await readWhole(path), `'${path}'`);
}

/** Reads a whole file of text. */
export async function readTextFile(path: string): Promise<string> {
  return new TextDecoder().decode(await readWhole(path));
}

async function readWhole(path: string): Promise<Uint8Array> {
  const file = await ModelFile.open(path);
  try {
    if (file.size > longestJson) {
      throw checkpointError(`'${path}' to have at most ${longestJson} bytes`, `${file.size}`);
    }
    const bytes = new Uint8Array(file.size);
    await file.read(0, bytes);
    return bytes;
  } finally {
    await file.close();
  }
}

/** Whether something of that name is there; what it is, opening it will show. */
export async function isPresent(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): SelectiveScanError {
  const { code } = cause as NodeJS.ErrnoException;
  return checkpointError(`'${path}' to be a file that can be read`, code ?? String(cause), cause);
}
