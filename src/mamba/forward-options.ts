import { checkFlag, describe, readOptions } from '../check.js';
import { SelectiveScanError } from '../errors.js';
import { checkSignal } from '../signal.js';
import { readState } from './generate-options.js';
import type { MambaState } from './state.js';

/** What a pass over tokens is to give. */
export interface ForwardOptions {
  /** The state to go on from, which is updated in place. Default: a new one, which is returned. */
  state?: MambaState | undefined;
  /** Logits after the last token of each sequence, the default, or after every token. */
  logits?: 'last' | 'all' | undefined;
  /** Also give what flows between the layers. Default false. */
  hiddenStates?: boolean | undefined;
  /** Ends it with ERR_ABORTED between two layers; the state is then of no use any more. */
  signal?: AbortSignal | undefined;
}

const known: ReadonlySet<string> = new Set<keyof ForwardOptions>(['state', 'logits', 'hiddenStates', 'signal']);

/** Options of which those that have a default have it. */
export function readForwardOptions(options: unknown) {
  const read = readOptions<ForwardOptions>(options ?? {}, known, 'options');
  const { logits = 'last' } = read;
  if (logits !== 'last' && logits !== 'all') {
    throw new SelectiveScanError(
      'ERR_OPTION',
      `Expected logits to be 'last' or 'all' but received ${describe(logits)}.`,
    );
  }
  return {
    state: readState(read.state),
    logits: logits as 'last' | 'all',
    hiddenStates: checkFlag('hiddenStates', read.hiddenStates),
    signal: checkSignal(read.signal),
  };
}
