import { SelectiveScanError } from '../errors.js';

/** A file of a model that is missing, or that is not what it has to be. */
export function checkpointError(expected: string, received: string, cause?: unknown): SelectiveScanError {
  return new SelectiveScanError('ERR_CHECKPOINT', `Expected ${expected} but received ${received}.`, { cause });
}

/** Names in an error message: all of a few, the first of many. */
export function listNames(names: readonly string[]): string {
  const most = 5;
  const shown = names.slice(0, most).map((name) => quoted(name));
  const rest = names.length - shown.length;
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ');
}

/** A name that comes from a file, in an error message. */
export function quoted(text: string): string {
  return `'${shorten(text)}'`;
}

/** Text that comes from a file may be megabytes long, and have line ends in it. */
export function shorten(text: string): string {
  const shown = text.length <= 200 ? text : `${text.slice(0, 200)}...`;
  return shown.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}
