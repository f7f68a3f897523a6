/** Ends a text before the first of some strings, wherever the pieces that it comes in are cut. */
export class StopStrings {
  readonly #strings: readonly string[];
  /** The end of the text so far, which one of the strings might begin in. */
  #held = '';
  #isFound = false;

  constructor(strings: readonly string[]) {
    this.#strings = strings;
  }

  /** Whether one of the strings has come. */
  get isFound(): boolean {
    return this.#isFound;
  }

  /** Takes a piece of text and returns the part that is before all stop strings. */
  push(piece: string): string {
    const text = this.#held + piece;
    const stop = this.#firstIn(text);
    this.#isFound = stop >= 0;
    const end = this.#isFound ? stop : text.length - this.#heldBy(text);
    this.#held = this.#isFound ? '' : text.slice(end);
    return text.slice(0, end);
  }

  /** The rest, when the text ends without any of the strings. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  #firstIn(text: string): number {
    const found = this.#strings.map((string) => text.indexOf(string)).filter((at) => at >= 0);
    return found.length > 0 ? Math.min(...found) : -1;
  }

  /** The length of the longest end of a text that a stop string begins with. */
  #heldBy(text: string): number {
    let longest = 0;
    for (const string of this.#strings) {
      for (let length = Math.min(string.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(string.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
