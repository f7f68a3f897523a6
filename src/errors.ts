/** What went wrong, for programs. Messages are for people and may change; codes do not. */
export type ErrorCode =
  | 'ERR_SHAPE'
  | 'ERR_DTYPE'
  | 'ERR_OPTION'
  | 'ERR_DEVICE'
  | 'ERR_DISPOSED'
  | 'ERR_UNSUPPORTED'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_DEVICE_LOST'
  | 'ERR_BACKEND_LOAD'
  | 'ERR_CHECKPOINT'
  | 'ERR_ABORTED';

/** The one error class of this package: a code for programs, a sentence for people. */
export class SelectiveScanError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SelectiveScanError';
    this.code = code;
  }
}
