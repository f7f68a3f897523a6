import { type ParseArgsConfig, parseArgs } from 'node:util';

/** What was typed is not a command; the message says why. */
export class UsageError extends Error {}

type Options = NonNullable<ParseArgsConfig['options']>;
type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** Options of every command that runs a model. */
export const modelOptions = {
  device: { type: 'string' },
  dtype: { type: 'string' },
  json: { type: 'boolean' },
} satisfies Options;

/** What a command was given: its words and its options, read by name. */
export class Arguments {
  readonly words: readonly string[];
  readonly #values: Values;

  constructor(args: readonly string[], options: Options) {
    try {
      const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
      this.#values = values as Values;
      this.words = positionals;
    } catch (error) {
      // Node's own sentences name the option.
      throw new UsageError((error as Error).message.split('\n')[0]);
    }
  }

  /** The one word that a command takes. */
  word(name: string): string {
    const [word, ...others] = this.words;
    if (word === undefined) throw new UsageError(`Expected a ${name}.`);
    if (others.length > 0) throw new UsageError(`Expected one ${name} but received also '${others[0]}'.`);
    return word;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined;
  }

  texts(name: string): readonly string[] {
    return (this.#values[name] as readonly string[] | undefined) ?? [];
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (/^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text)) return Number(text);
    throw new UsageError(`Expected a number for --${name} but received '${text}'.`);
  }

  /** A whole number of at least 1. */
  count(name: string, absent: number): number {
    const number = this.number(name) ?? absent;
    if (Number.isSafeInteger(number) && number >= 1) return number;
    throw new UsageError(`Expected a whole number of at least 1 for --${name} but received '${this.text(name)}'.`);
  }
}
