/** Tokens of several sequences, one sequence after the other: s has those from cuSeqlens[s] to cuSeqlens[s + 1]. */
export interface Pack {
  readonly ids: Int32Array;
  readonly cuSeqlens: Int32Array;
}

/**
 * Cuts prompts into packs of about so many tokens. Each pack has the next part of every prompt, in proportion to its
 * length, so that all prompts end in the last pack, which then has what all of them are continued from.
 */
export function* chunksOf(prompts: readonly Int32Array[], tokens: number): Generator<Pack & { isLast: boolean }> {
  const total = prompts.reduce((sum, { length }) => sum + length, 0);
  const count = Math.max(1, Math.ceil(total / tokens));
  for (let chunk = 0; chunk < count; chunk++) {
    const cut = (length: number, at: number) => Math.floor((length * at) / count);
    const parts = prompts.map((ids) => ids.subarray(cut(ids.length, chunk), cut(ids.length, chunk + 1)));
    yield { ...pack(parts), isLast: chunk === count - 1 };
  }
}

export function pack(parts: readonly Int32Array[]): Pack {
  const cuSeqlens = new Int32Array(parts.length + 1);
  for (const [i, { length }] of parts.entries()) cuSeqlens[i + 1] = (cuSeqlens[i] as number) + length;
  const ids = new Int32Array(cuSeqlens.at(-1) as number);
  for (const [i, part] of parts.entries()) ids.set(part, cuSeqlens[i]);
  return { ids, cuSeqlens };
}
