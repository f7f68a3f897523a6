import { SelectiveScanError } from '../errors.js';

/** A file of a model that is missing, or that is not what it has to be. */
export function checkpointError(expected: string, received: string, cause?: unknown): SelectiveScanError {
  return new SelectiveScanError('ERR_CHECKPOINT', `Expected ${expected} but received ${received}.`, { cause });
}

/** Names in an error message: all of a few, the first of many. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => shorten(`'${name}'`));
  if (names.length > shown.length) shown.push(`${names.length - shown.length} more`);
  return shown.join(', ');
}

/** A file may hold names of megabytes. */
export function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`;
}
