import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenFolder } from './files';
import { goldenCheckpoint } from './model-files';
import { readSafetensors, type StoredTensor } from './safetensors';

export interface GoldenPrompt {
  prompt: string;
  input_ids: number[]; // a leading 0 is the document's start
  greedy_ids: number[];
  greedy_text: string;
  min_top2_margin: number;
}

interface Golden {
  prompts: GoldenPrompt[];
  heldout: { windows: number[][]; per_window_nll: number[]; mean_nll: number };
}

/** transformers' results for models/tiny-code-lm in float32. */
export function readGolden(): Golden {
  return JSON.parse(readFileSync(join(goldenFolder, 'tiny-code-lm', 'reference.json'), 'utf8'));
}

export interface GoldenPass {
  ids: number[];
  hidden: Float64Array[]; // each layer's output, and the final norm's
  logits: Float64Array;
}

/** What tiny-code-lm computes of one prompt, in float64. */
export function readGoldenPass(): GoldenPass {
  const tensors = readSafetensors(join(goldenFolder, 'tiny-code-lm', 'reference.safetensors'));
  const values = (name: string) => tensors[name]?.values as Float64Array;
  const layers = Object.keys(tensors).filter((name) => name.startsWith('hidden.')).length;
  return {
    ids: Array.from(values('input_ids')),
    hidden: Array.from({ length: layers }, (_, i) => values(`hidden.${i}`)),
    logits: values('logits'),
  };
}

export interface GoldenLogits {
  rows: number[][]; // token ids
  logits: Float64Array; // [rows, tokens, vocab], computed in float64
  prompt: number[];
  greedy: number[]; // what follows the prompt
}

export function readGoldenLogits(checkpoint: string): GoldenLogits {
  const tensors = readSafetensors(join(goldenCheckpoint(checkpoint), 'reference.safetensors'));
  const { input_ids: ids, logits, greedy } = tensors as Record<'input_ids' | 'logits' | 'greedy', StoredTensor>;
  const [rows, tokens] = ids.shape;
  const all = Array.from(ids.values);
  return {
    rows: Array.from({ length: rows }, (_, row) => all.slice(row * tokens, (row + 1) * tokens)),
    logits: logits.values,
    prompt: Array.from(greedy.values.subarray(0, 7)),
    greedy: Array.from(greedy.values.subarray(7)),
  };
}

/** How far the values are from the golden ones at most. */
export function largestDifference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs((got[i] as number) - (want[i] as number));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
