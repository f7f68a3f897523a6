/** What turns token ids into text. */
export interface Decoding {
  decode(ids: ArrayLike<number>): string;
}

/** What a decoder writes for bytes that are no whole character. */
const incomplete = '\uFFFD';

/** A character has at most four bytes, so that of one which is to be completed at most three are there. */
const mostIncomplete = 3;

/** Tokens that may be held for a character's sake: more than that many do not make one. */
const mostHeld = 32;

/**
 * The text of tokens as they come, in pieces that hold whole characters only. Tokens are decoded together with those
 * before them, because a decoder may write a token otherwise at a text's beginning.
 */
export class TextStream {
  readonly #decoding: Decoding;
  /** The last tokens: those that gave the piece before, for their context, and those that gave none yet. */
  #ids: number[] = [];
  /** How many of them were there when the last piece was given. */
  #seen = 0;
  /** Characters of their text that have been given. */
  #given = 0;

  constructor(decoding: Decoding) {
    this.#decoding = decoding;
  }

  /** Takes a token and returns the text that is certain by now and was not before. */
  push(id: number): string {
    this.#ids.push(id);
    const text = this.#decoding.decode(this.#ids);
    const whole = this.#ids.length > mostHeld ? text.length : wholeLength(text);
    const piece = text.slice(this.#given, whole);
    this.#given = Math.max(this.#given, whole);
    if (whole === text.length && piece !== '') this.#forget();
    return piece;
  }

  /** The rest, with what is no whole character. */
  end(): string {
    const rest = this.#decoding.decode(this.#ids).slice(this.#given);
    this.#ids = [];
    this.#given = 0;
    this.#seen = 0;
    return rest;
  }

  /** Lets go of the tokens before the last piece's. */
  #forget(): void {
    this.#ids = this.#ids.slice(this.#seen);
    this.#seen = this.#ids.length;
    this.#given = this.#decoding.decode(this.#ids).length;
  }
}

function wholeLength(text: string): number {
  let length = text.length;
  while (length > text.length - mostIncomplete && text[length - 1] === incomplete) length--;
  return length;
}
