import { expect } from '@jest/globals';
import {
  causalConv1d,
  causalConv1dSync,
  causalConv1dUpdate,
  causalConv1dUpdateSync,
  embedding,
  embeddingSync,
  SelectiveScanError,
  selectiveScan,
  selectiveScanSync,
  selectiveStateUpdate,
  selectiveStateUpdateSync,
} from 'selective-scan';

/** Options as JavaScript might hand them over. */
export type LooseOptions = Record<string, unknown>;

export interface Failure {
  code: string;
  about: string; // what the sentence has to name
}

/** Holds an error to the package's form: its class, a code, and one sentence that names the culprit. */
export function expectFailure(error: unknown, { code, about }: Failure): void {
  expect(error).toBeInstanceOf(SelectiveScanError);
  const { code: actual, message, name } = error as SelectiveScanError;
  expect({ actual, message }).toEqual({ actual: code, message: expect.stringContaining(about) });
  expect(name).toBe('SelectiveScanError');
  expect(message).toMatch(/^\S.*\.$/s);
}

/** What a function throws. */
export function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown.');
}

/** What a promise is rejected with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('The promise was not rejected.');
    },
    (error) => error,
  );
}

/** An op's two forms. */
export interface Forms {
  promise: (options: any) => Promise<unknown>;
  sync: (options: any) => unknown;
}

export const scan: Forms = { promise: selectiveScan, sync: selectiveScanSync };
export const conv: Forms = { promise: causalConv1d, sync: causalConv1dSync };
export const convUpdate: Forms = { promise: causalConv1dUpdate, sync: causalConv1dUpdateSync };
export const lookUp: Forms = { promise: embedding, sync: embeddingSync };
export const stateUpdate: Forms = { promise: selectiveStateUpdate, sync: selectiveStateUpdateSync };

/** Both forms refuse the options in the same words, and the promise form does so by rejecting. */
export async function expectBothRefuse(options: unknown, failure: Failure, op = scan): Promise<void> {
  const thrown = thrownBy(() => op.sync(options));
  expectFailure(thrown, failure);
  const promise = op.promise(options); // throwing here would fail the test
  const rejection = await rejectionOf(promise);
  expectFailure(rejection, failure);
  expect((rejection as Error).message).toBe((thrown as Error).message);
}
