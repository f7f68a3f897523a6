import { checkpointError, quoted, shorten } from './checkpoint-error.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** No file of a model nests deeper than a few levels; millions of levels are made to exhaust memory. */
const deepest = 32;

/**
 * Parses a JSON object that anybody may have written. Equal keys are an error, because parsers differ in which of them
 * they take, so that a file could mean one thing here and another elsewhere.
 */
export function parseJsonObject(bytes: Uint8Array, source: string): JsonObject {
  const text = decode(bytes, source);
  checkNesting(text, source);
  const value = parse(text, source);
  if (!isJsonObject(value)) throw checkpointError(`${source} to hold a JSON object`, kindOf(value));
  checkKeys(text, source);
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A parsed value in an error message. */
export function kindOf(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return value.length < 10 ? shorten(JSON.stringify(value)) : 'an array';
  return isJsonObject(value) ? 'an object' : shorten(JSON.stringify(value) ?? 'nothing');
}

function decode(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw checkpointError(`${source} to be JSON in UTF-8`, 'other bytes', cause);
  }
}

function parse(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw checkpointError(`${source} to be JSON`, shorten(`other text (${(cause as Error).message})`), cause);
  }
}

function checkNesting(text: string, source: string): void {
  let depth = 0;
  for (const token of tokensOf(text)) {
    if (token === '{' || token === '[') depth++;
    if (token === '}' || token === ']') depth--;
    if (depth > deepest) throw checkpointError(`${source} to nest at most ${deepest} levels`, 'more');
  }
}

/** For text that is known to be JSON. */
function checkKeys(text: string, source: string): void {
  // The keys so far of each object that is open; undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let isKey = false;
  for (const token of tokensOf(text)) {
    if (token === '}' || token === ']') open.pop();
    else if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token !== ',' && isKey) addKey(open.at(-1), JSON.parse(token) as string, source);
    isKey = token === '{' || (token === ',' && open.at(-1) !== undefined);
  }
}

function addKey(keys: Set<string> | undefined, key: string, source: string): void {
  if (keys?.has(key)) throw checkpointError(`${source} to have each key once`, `${quoted(key)} twice`);
  keys?.add(key);
}

/** Brackets, commas and whole strings; not by a regular expression, whose stack the longest strings would exhaust. */
function* tokensOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string;
    if ('{}[],'.includes(character)) yield character;
    if (character !== '"') continue;
    const start = at++;
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    yield text.slice(start, at + 1);
  }
}
