import { join } from 'node:path';
import { MambaForCausalLM } from 'selective-scan/mamba';
import type { Columns } from './table';
import { median } from './timing';

/** A whole model: reading prompts, and writing after them, greedily. */
export interface ModelRow {
  readonly model: string;
  readonly dtype: string;
  readonly threads?: number;
  readonly batch: number;
  readonly promptTokens: number;
  readonly tokens: number;
  /** Of all sequences together: prompt tokens up to the first token that is known on the host, and tokens after it. */
  readonly prefillPerSecond: number;
  readonly decodePerSecond: number;
}

type Sizes = readonly [batch: number, promptTokens: number, tokens: number];

interface Case {
  readonly model: string;
  load(device: string): Promise<MambaForCausalLM>;
  readonly sizes: readonly Sizes[];
}

// The first runs of a process make the engine compile what is called often, and a GPU's memory be reserved.
const runs = { warm: 4, timed: 7 };

/** Random weights of a published shape. */
function published(hiddenSize: number, layers: number) {
  const config = { model_type: 'mamba', hidden_size: hiddenSize, num_hidden_layers: layers, vocab_size: 50280 };
  return (device: string) => MambaForCausalLM.fromConfig(config, { device, dtype: 'bfloat16' });
}

const tiny = (device: string) => MambaForCausalLM.load(join('models', 'tiny-code-lm'), { device });

function casesOf(device: string): readonly Case[] {
  if (device === 'cpu') {
    return [
      {
        model: 'tiny-code-lm',
        load: tiny,
        sizes: [
          [1, 512, 256],
          [64, 64, 32],
        ],
      },
      {
        model: '130m',
        load: published(768, 24),
        sizes: [
          [1, 256, 32],
          [64, 16, 8],
        ],
      },
    ];
  }
  const sizes: Sizes[] = [
    [1, 128, 256],
    [1, 2048, 8],
    [1, 16384, 8],
    [64, 128, 64],
  ];
  return [
    { model: 'tiny-code-lm', load: tiny, sizes },
    { model: '130m', load: published(768, 24), sizes },
    { model: '2.8b', load: published(2560, 64), sizes },
  ];
}

export async function measureModels(device: string, threads: number | undefined): Promise<ModelRow[]> {
  const rows: ModelRow[] = [];
  for (const { model: name, load, sizes } of casesOf(device)) {
    using model = await load(device);
    for (const [batch, promptTokens, tokens] of sizes) {
      for (let run = 0; run < runs.warm; run++) await time(model, batch, promptTokens, tokens);
      const times: { prefill: number; decode: number }[] = [];
      for (let run = 0; run < runs.timed; run++) times.push(await time(model, batch, promptTokens, tokens));
      rows.push({
        ...{ model: name, dtype: model.dtype, ...(threads !== undefined && { threads }), batch, promptTokens, tokens },
        prefillPerSecond: (batch * promptTokens) / median(times.map(({ prefill }) => prefill)),
        decodePerSecond: (batch * tokens) / median(times.map(({ decode }) => decode)),
      });
    }
  }
  return rows;
}

async function time(model: MambaForCausalLM, batch: number, promptTokens: number, tokens: number) {
  const prompts = Array.from({ length: batch }, (_, row) =>
    Int32Array.from({ length: promptTokens }, (_, i) => (7919 * (i + 1) + row) % model.config.vocabSize),
  );
  const start = performance.now();
  let first = 0;
  for await (const _ of model.generateBatch(prompts, { maxTokens: tokens + 1, stopTokens: [] })) {
    first ||= performance.now();
  }
  return { prefill: (first - start) / 1e3, decode: (performance.now() - first) / 1e3 };
}

/** What a table shows of a row. */
export function modelColumns(row: ModelRow): Columns {
  return {
    model: row.model,
    dtype: row.dtype,
    threads: row.threads,
    batch: row.batch,
    prompt: row.promptTokens,
    'prefill tokens/s': row.prefillPerSecond.toFixed(0),
    tokens: row.tokens,
    'decode tokens/s': row.decodePerSecond.toFixed(0),
  };
}
