import { SelectiveScanError } from '../errors.js';

/** A file of a model that is missing, or that is not what it has to be. */
export function checkpointError(expected: string, received: string, cause?: unknown): SelectiveScanError {
  return new SelectiveScanError('ERR_CHECKPOINT', `Expected ${expected} but received ${received}.`, { cause });
}

/** Names in an error message: all of a few, the first of many. */
export function listNames(names: readonly string[]): string {
  const most = 5;
  const shown = names.slice(0, most).map((name) => shorten(`'${name}'`));
  const rest = names.length - shown.length;
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ');
}

/** A file may hold names of megabytes. */
export function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`;
}
