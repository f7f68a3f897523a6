import { expect, test } from '@jest/globals';
import { newStopStrings, newTextStream } from './support/internals';
import { seeded } from './support/random';

/** Tokens that are bytes, as byte-level vocabularies have them for what they know no longer token of. */
const bytes = {
  decode: (ids: ArrayLike<number>) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids)),
};

/** One that writes each byte of a broken character, as a byte fallback does. */
const fallback = {
  decode: (ids: ArrayLike<number>) => {
    const text = bytes.decode(ids);
    return text.replace(/\uFFFD+$/, '') + '\uFFFD'.repeat(brokenEnd(ids));
  },
};

function brokenEnd(ids: ArrayLike<number>): number {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let cut = 0; cut <= 3; cut++) {
    try {
      strict.decode(Uint8Array.from(ids).subarray(0, ids.length - cut));
      return cut;
    } catch {}
  }
  return 0;
}

/** One that writes a space before a token unless it is the first, as words' vocabularies do. */
const words = ['one', 'two', 'three'];
const spaced = { decode: (ids: ArrayLike<number>) => Array.from(ids, (id) => words[id]).join(' ') };

const text = 'aé€😀 naïve 👩‍👩‍👧 ﬁn𝄞';

test.each([
  ['as one', bytes],
  ['byte by byte', fallback],
])('a character comes whole, its broken bytes written %s', (_name, decoding) => {
  const stream = newTextStream(decoding);
  const pieces = Array.from(new TextEncoder().encode(text), (byte) => stream.push(byte));
  expect(pieces.join('')).toBe(text);
  expect(pieces.join('')).not.toContain('\uFFFD');
  for (const piece of pieces) expect(bytes.decode(new TextEncoder().encode(piece))).toBe(piece);
  expect(stream.end()).toBe('');
});

test('what never becomes a character comes at the end', () => {
  const stream = newTextStream(bytes);
  expect(stream.push(0x61)).toBe('a');
  expect(stream.push(0xf0)).toBe('');
  expect(stream.push(0x9f)).toBe('');
  expect(stream.end()).toBe('\uFFFD');
});

test('bytes that are no text are given in the end all the same', () => {
  const { integer } = seeded(3);
  const ids = Array.from({ length: 2000 }, () => integer(0, 255));
  const stream = newTextStream(bytes);
  const pieces = ids.map((id) => stream.push(id));
  const given = pieces.join('') + stream.end();
  expect(given.replaceAll('\uFFFD', '')).toBe(bytes.decode(ids).replaceAll('\uFFFD', ''));
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(64);
});

test('a token is decoded after those before it', () => {
  const stream = newTextStream(spaced);
  expect([0, 1, 2, 1].map((id) => stream.push(id))).toEqual(['one', ' two', ' three', ' two']);
});

test.each([
  [['ab', 'c\n\nde', 'f'], ['\n\n'], 'abc', true],
  [['ab\n', '\nx'], ['\n\n'], 'ab', true],
  [['ab\n', 'c'], ['\n\n'], 'ab\nc', false],
  [['aab'], ['ab'], 'a', true],
  [['a', 'a', 'b'], ['ab'], 'a', true],
  [['x', 'yz'], ['yz', 'xyz'], '', true],
  [['ab', 'ab', 'ac'], ['abac'], 'ab', true],
  [['no stop'], [], 'no stop', false],
])('%j is ended by %j as %j', (pieces, strings, expected, isFound) => {
  const stop = newStopStrings(strings);
  let given = '';
  for (const piece of pieces) {
    given += stop.push(piece);
    if (stop.isFound) break;
  }
  if (!stop.isFound) given += stop.end();
  expect({ given, isFound: stop.isFound }).toEqual({ given: expected, isFound });
});

test('no text is held that no stop string may begin in', () => {
  const stop = newStopStrings(['END', '\n\n']);
  expect(['some E', 'N', 'X', '\n'].map((piece) => stop.push(piece))).toEqual(['some ', '', 'ENX', '']);
});
