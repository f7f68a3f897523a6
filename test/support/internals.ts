import { join } from 'node:path';
import { packageRoot } from './files';

/** What text pieces are made with; the public entries offer it as a part of generation only. */
interface TextStream {
  push(id: number): string;
  end(): string;
}

interface StopStrings {
  readonly isFound: boolean;
  push(piece: string): string;
  end(): string;
}

interface Pack {
  ids: Int32Array;
  cuSeqlens: Int32Array;
  isLast: boolean;
}

const load = (name: string) => require(join(packageRoot, 'dist', 'mamba', name));

export const newTextStream = (decoding: { decode(ids: ArrayLike<number>): string }): TextStream =>
  new (load('text-stream.js').TextStream)(decoding);
export const newStopStrings = (strings: string[]): StopStrings => new (load('stop-strings.js').StopStrings)(strings);
export const chunksOf = (prompts: Int32Array[], tokens: number): Pack[] => [
  ...load('chunks.js').chunksOf(prompts, tokens),
];
